"""Every entry as the message an audit repository takes: well-formed, framed by its length, numbered by its place."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from services.audit.rules_balp import OUTCOMES, audit_event, shape_of
from services.audit.rules_syslog import SEQUENCE, audit_message, frame, message
from tests.rules.test_audit_balp_rules import ACTORS, ENTRY, entries

AT = datetime(2026, 11, 21, 16, 0, 0, 123456, tzinfo=UTC)
ROW: dict[str, Any] = {**ENTRY, "at": AT, "address": "192.0.2.7", "trace_id": ENTRY["entry_id"]}
HEAD = re.compile(
    rb"<85>1 2026-11-21T16:00:00\.123456Z dsp\.example opendsp-audit - DICOM\+RFC3881"
    rb' \[meta sequenceId="(\d+)"\] \xef\xbb\xbf(<AuditMessage>.*</AuditMessage>)', re.DOTALL,
)  # fmt: skip


def parsed(**changes: Any) -> Any:
    return etree.fromstring(audit_message({**ROW, **changes}, "dsp.example"))


def test_a_message_is_syslog_with_dicoms_audit_message_in_it() -> None:
    found = HEAD.fullmatch(message(ROW, 41, "dsp.example"))
    assert found is not None and found[1] == b"42"
    assert etree.fromstring(found[2]).tag == "AuditMessage"


def test_a_frame_begins_with_the_length_of_its_message_in_bytes() -> None:
    made = frame({**ROW, "software": "Prätis 1"}, 7, "dsp.example")
    length, _, text = made.partition(b" ")
    assert int(length) == len(text) and text == message({**ROW, "software": "Prätis 1"}, 7, "dsp.example")


@pytest.mark.parametrize(("position", "number"), [(0, 1), (SEQUENCE - 1, SEQUENCE), (SEQUENCE, 1)])
def test_the_number_of_a_message_is_one_that_syslog_knows(position: int, number: int) -> None:
    assert f'sequenceId="{number}"'.encode() in message(ROW, position, "dsp.example")


def test_every_entry_is_a_message_of_the_same_kind_action_and_outcome_as_its_audit_event() -> None:
    for each in entries():
        row = {**ROW, **each, "at": AT}
        event = audit_event({**row, "at": "2026-11-21T16:00:00Z"}, "https://dsp.example", None)
        found = parsed(**row).find("EventIdentification")
        assert found.find("EventID").get("csd-code") == event["type"]["code"]
        assert [code.get("csd-code") for code in found.findall("EventTypeCode")] == [
            code["code"] for code in event["subtype"]
        ]
        assert found.get("EventActionCode") == event["action"]
        assert found.get("EventOutcomeIndicator") == event["outcome"]
        assert event["outcome"] == OUTCOMES[shape_of(row["outcome"], row["reason"], row["record_id"])]


def test_a_message_says_who_from_where_and_on_what() -> None:
    root = parsed()
    users = [user for user in root.findall("ActiveParticipant") if user.get("UserIsRequestor") == "true"]
    assert [user.get("UserID") for user in users] == [ROW["professional_id"]]
    assert users[0].get("AlternativeUserID") == ROW["account_id"]
    assert users[0].get("NetworkAccessPointID") == "192.0.2.7"
    objects = {each.get("ParticipantObjectID") for each in root.findall("ParticipantObjectIdentification")}
    assert objects == {ROW["record_id"], ROW["object_id"], ROW["request_id"]}
    assert root.find("AuditSourceIdentification").get("AuditSourceID") == "documents"


def test_somebody_or_something_always_asked() -> None:
    for actor in ACTORS.values():
        asked = [user for user in parsed(**actor).findall("ActiveParticipant") if user.get("UserIsRequestor") == "true"]
        assert len(asked) == 1


def test_what_is_text_cannot_become_more_than_text() -> None:
    root = parsed(software='"/><x a="', object_type="<y>&")
    assert root.find(".//x") is None and root.find(".//y") is None
