"""What a holder wishes of deposits during care: none of this, or one that is due."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import deposits as shapes

wishes = APIBlueprint("wishes", __name__)

_WHOM: dict[str, Any] = {
    "professional": "professional_id", "name": "professional_name", "profession": None,
    "establishment": "establishment_id",
}  # fmt: skip


@operation(
    wishes, "POST", "/records/<uuid:record_id>/deposit-wishes", summary="Oppose deposits, or ask for one",
    answer=shapes.Wish, status=201, body=shapes.WishWanted, once=True,
    refuses=("record_not_found", "record_closed", "not_allowed", "professional_not_found", "mandate_not_found",
             "too_many_wishes"),
)  # fmt: skip
def wish_deposit(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder side. What was asked for is due in 15 days; what is opposed is refused, and the try is counted."""
    return named([ask("documents", "wish_deposit", record_id=record_id, **body)], **_WHOM)[0]


@operation(
    wishes, "GET", "/records/<uuid:record_id>/deposit-wishes", summary="List wishes about deposits",
    answer=shapes.Wishes, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_wishes(record_id: str) -> Any:
    """All of the record for its holder side; for a professional, what they were asked for in it."""
    return {"wishes": named(ask("documents", "list_wishes", record_id=record_id)["wishes"], **_WHOM)}


@operation(
    wishes, "GET", "/deposit-wishes", summary="List the deposits one was asked for", answer=shapes.Wishes,
    refuses=("not_allowed",),
)  # fmt: skip
def wishes_for_me() -> Any:
    """For a professional, in all records, newest first."""
    return {"wishes": named(ask("documents", "wishes_for_me")["wishes"], **_WHOM)}


@operation(
    wishes, "DELETE", "/deposit-wishes/<uuid:wish_id>", summary="Withdraw a wish about deposits", status=204,
    refuses=("wish_not_found",),
)  # fmt: skip
def withdraw_wish(wish_id: str) -> Any:
    """By the holder side, while it stands."""
    ask("documents", "withdraw_wish", wish_id=wish_id)
