"""Images from a document's side: what belongs together with it, and a token for a web viewer."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.resources.dicomweb import DICOMWEB
from gateway.schemas import images as shapes

images = APIBlueprint("images", __name__)


@operation(
    images, "GET", "/documents/<uuid:document_id>/images", summary="Report, key images and images of a study",
    answer=shapes.Images, refuses=("document_not_found",),
)  # fmt: skip
def read_images(document_id: str) -> Any:
    """Both ways, from a report to manifest and images and back, within what the reader may see.

    A report belongs to the studies that its own catalogue of DICOM objects names (CDA, PS3.20 9.x) and to those it was
    deposited together with; a manifest and an image belong to their own and to those they point to.
    """
    answer = ask("documents", "images_of", document_id=document_id)
    return {**answer, "studies": [_with_address(study) for study in answer["studies"]]}


@operation(
    images, "POST", "/documents/<uuid:document_id>/study-tokens", summary="A token for a web viewer",
    answer=shapes.StudyToken, body=shapes.StudyChoice, status=201, refuses=("document_not_found", "study_not_found"),
)  # fmt: skip
def share_study(document_id: str, body: dict[str, Any]) -> Any:
    """Opens one study under DICOMweb, for 15 minutes at most, and nothing else anywhere.

    It ends with the session and with the access token it was asked with; every use of it is decided anew by what its
    owner may see then.
    """
    return _with_address(ask("documents", "share_study", document_id=document_id, **body))


def _with_address(told: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in told.items() if name != "record_id"}
    return {**kept, "dicomweb": f"{DICOMWEB}/records/{told['record_id']}"}
