"""Records: which ones the caller has, and what they may do in one."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import my_records as mine
from gateway.schemas import records as shapes

records = APIBlueprint("records", __name__, url_prefix="/records")


@operation(records, "GET", "", summary="List my records", answer=mine.MyRecords, refuses=("not_allowed",))
def my_records() -> Any:
    """Those the caller holds, and those of others whom they represent or assist, with their state."""
    found = ask("dossier", "my_records")["records"]
    return {"records": named(found, patient="patient_id", name="patient_name", profession=None)}


@operation(
    records, "GET", "/<uuid:record_id>", summary="Read a record", answer=shapes.Record,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_record(record_id: str) -> Any:
    """The ground that lets the caller in, and what it gives. Unknown, closed and blocked are one refusal."""
    record = ask("dossier", "read_record", record_id=record_id)
    return named([record], patient="patient_id", name="patient_name", profession=None)[0]
