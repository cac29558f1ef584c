"""The decisions about messages on their way: when they are tried again, by which address, what is believed of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import rules, rules_batches, rules_bounces, rules_delivery
from services.notifications.contract import LetterInBatch, LetterSpent
from services.notifications.rules_delivery import Fate

NOW = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
IDS = st.uuids().map(str)
ATTEMPTS = st.integers(1, 10_000)
SHARES = st.floats(0, 1, exclude_max=True)


# --- trying again -----------------------------------------------------------------------------------------------------


@given(ATTEMPTS, SHARES)
def test_a_wait_is_never_longer_than_a_quarter_of_an_hour_nor_nothing(attempts: int, share: float) -> None:
    assert timedelta(seconds=1) <= rules_delivery.wait_before_next(attempts, share) <= timedelta(minutes=15)


@given(ATTEMPTS)
def test_waits_grow_twofold_and_are_spread_over_their_whole_span(attempts: int) -> None:
    longest = rules_delivery.wait_before_next(attempts, 1)
    assert longest == min(timedelta(minutes=15), timedelta(seconds=5) * 2 ** min(attempts - 1, 20))
    assert rules_delivery.wait_before_next(attempts, 0.5) == max(timedelta(seconds=1), longest / 2)
    assert rules_delivery.wait_before_next(attempts, 0) == timedelta(seconds=1)


@given(ATTEMPTS, SHARES)
def test_what_waits_on_keeps_its_history_and_counts_its_tries(attempts: int, share: float) -> None:
    before = {"attempts": attempts, "history": [{"state": "queued", "at": "x", "cause": None}]}
    after = rules_delivery.changed(before, Fate("queued", "away", away=True), NOW, "now", share)
    assert after.keys() == {"attempts", "due_at", "cause"} and after["attempts"] == attempts + 1
    assert after["due_at"] > NOW and after["cause"] == "away"


@pytest.mark.parametrize("fate", [Fate("sent"), Fate("failed", "expired"), Fate("bounced", "refused")])
def test_what_is_settled_waits_no_more_and_says_so_in_its_history(fate: Fate) -> None:
    before = {"attempts": 3, "history": [{"state": "queued", "at": "x", "cause": None}]}
    after = rules_delivery.changed(before, fate, NOW, "now", 0.5)
    assert (after["state"], after["cause"], after["due_at"], after["settled_at"]) == (fate.state, fate.cause, None, NOW)
    assert after["history"] == [*before["history"], {"state": fate.state, "at": "now", "cause": fate.cause}]


def test_what_goes_on_by_another_way_goes_at_once_and_is_no_failed_try() -> None:
    after = rules_delivery.changed({"attempts": 0, "history": []}, Fate("queued", channel="sms"), NOW, "now", 0.5)
    assert after == {"channel": "sms", "due_at": NOW}


@pytest.mark.parametrize(("expires_at", "over"), [
    (None, False), (NOW + timedelta(seconds=1), False), (NOW, True), (NOW - timedelta(days=1), True),
])  # fmt: skip
def test_a_message_is_over_when_its_time_is(expires_at: datetime | None, over: bool) -> None:
    assert rules_delivery.is_over(expires_at, NOW) is over


# --- where to ---------------------------------------------------------------------------------------------------------

MAIL, OTHER_MAIL = {"kind": "email", "value": "a@example.lu"}, {"kind": "email", "value": "b@example.lu"}
MOBILE = {"kind": "mobile", "value": "+352691000001"}


@pytest.mark.parametrize(("channel", "contacts", "reached"), [
    ("email", [MOBILE, MAIL, OTHER_MAIL], ("email", "a@example.lu")),
    ("sms", [MAIL, MOBILE], ("sms", "+352691000001")),
    ("email", [MOBILE], ("sms", "+352691000001")),
    ("sms", [OTHER_MAIL, MAIL], ("email", "b@example.lu")),
    ("email", [], ("email", None)),
    ("sms", [{"kind": "pigeon", "value": "x"}], ("sms", None)),
])  # fmt: skip
def test_somebody_is_reached_as_wished_or_else_the_other_way(
    channel: str, contacts: list[dict[str, str]], reached: tuple[str, str | None]
) -> None:
    assert rules_delivery.address_for(channel, contacts) == reached


PEOPLE = {"holder": "h", "representatives": ["r"], "assistants": ["a"]}


@pytest.mark.parametrize(("person", "left"), [("h", False), ("r", False), ("a", False), ("x", True)])
def test_who_is_nobody_of_a_record_any_more_has_left(person: str, left: bool) -> None:
    assert rules_delivery.has_left(PEOPLE, person) is left


@pytest.mark.parametrize(("role", "occasion", "waited", "asked"), [
    ("representative", "record_news.closing", timedelta(hours=8), True),
    ("assistant", "record_news.dispensed", timedelta(hours=8), True),
    ("representative", "record_news.dispensed", timedelta(seconds=10), False),
    ("holder", "record_news.dispensed", timedelta(hours=8), False),
    (None, "record_news.block_reminder", timedelta(hours=8), False),
    ("assistant", "record_news.own_access_ended", timedelta(hours=8), False),
])  # fmt: skip
def test_of_what_had_to_wait_it_is_asked_again_who_hears_of_it(
    role: str | None, occasion: str, waited: timedelta, asked: bool
) -> None:
    assert rules_delivery.is_asked_again(role, occasion, (NOW - waited).isoformat(), NOW) is asked


# --- what is said of it afterwards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "delivered", "bounced", "failed"])
@pytest.mark.parametrize("told", ["delivered", "bounced", "queued", "sent"])
def test_only_what_is_on_its_way_arrives_or_comes_back(state: str, told: str) -> None:
    assert rules_delivery.state_after(state, told) is None
    assert rules_delivery.state_after("sent", told) == (told if told in ("delivered", "bounced") else None)


@given(IDS, IDS, IDS)
def test_a_message_is_known_by_its_own_reference_alone(event_id: str, person: str, other: str) -> None:
    reference, message_id = (
        rules.client_reference_for(event_id, person),
        rules.message_id_for(event_id, person, "email"),
    )
    assert rules_delivery.event_of_reference(reference) == rules_delivery.event_of_reference(message_id) == event_id
    assert rules_delivery.is_sms_reference(reference, event_id, person)
    assert rules_delivery.is_message_id(f" {message_id}\r\n", event_id, person)
    assert not rules_delivery.is_message_id(reference, event_id, person)
    if other != person:
        assert not rules_delivery.is_sms_reference(reference, event_id, other)
        assert not rules_delivery.is_message_id(message_id, event_id, other)


@given(st.text())
def test_whatever_a_reference_says_it_names_an_event_or_nothing(text: str) -> None:
    event_id = rules_delivery.event_of_reference(text)
    assert event_id is None or rules.is_id(event_id)
    assert not rules_delivery.is_sms_reference(text, "e", "p") and not rules_delivery.is_message_id(text, "e", "p")


@pytest.mark.parametrize("asked", [{}, {"patient": None}, {"patient": "a", "request": "b"}])
def test_messages_are_searched_by_one_thing(asked: dict[str, str | None]) -> None:
    assert rules_delivery.wrong_search(asked) == [{"pointer": "", "message": "one_of"}]
    assert rules_delivery.wrong_search({"message": "no id"}) == [{"pointer": "/message_id", "message": "id"}]


@given(st.sampled_from(["record_news.dispensed", "record_first_accessed_by", "one_time_code.log_in", "queue.case"]))
def test_the_helpdesk_sees_of_a_message_neither_its_news_nor_whose_it_is(occasion: str) -> None:
    shown = rules_delivery.shown_message({
        "message_id": "m", "channel": "email", "occasion": occasion, "state": "sent", "cause": None, "attempts": 0,
        "due_at": None, "history": [{"state": "sent", "at": "x", "cause": None, "more": "y"}],
        "recipient_id": "somebody", "record_id": "a record",
    }, str)  # fmt: skip
    assert occasion not in str(shown) and "somebody" not in str(shown) and "record_id" not in shown
    assert "more" not in str(shown) and shown["about"] in ("record", "code", "work")


# --- notifications of mail servers ------------------------------------------------------------------------------------

OURS = rules.message_id_for("01890a5d-ac96-774b-bcce-b302099a8057", "somebody", "email")


def notification(
    action: str = "failed", status: str = "5.1.1", message_id: str = OURS, returned: str = "message/rfc822"
) -> bytes:
    """A notification as mail servers write it [RFC 3464]."""
    headers = f"From: x@opendsp.localhost\nTo: zoe@example.lu\nMessage-ID: {message_id}\n"
    return (
        "From: MAILER-DAEMON@mx.example.lu\nMessage-ID: <notice@mx.example.lu>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\n\nYour message could not be delivered.\n\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.lu\n\n"
        f"Final-Recipient: rfc822; zoe@example.lu\nAction: {action}\nStatus: {status}\nRemote-MTA: dns; mx\n\n"
        f"--b\nContent-Type: {returned}\n\n{headers}\n…\n\n--b--\n"
    ).encode()


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(("action", "status", "outcome"), [
    ("failed", "5.1.1", "bounced"), ("Failed", "5.7.1", "bounced"), ("delivered", "2.0.0", "delivered"),
])  # fmt: skip
def test_a_notification_about_a_mail_of_ours_says_what_became_of_it(
    returned: str, action: str, status: str, outcome: str
) -> None:
    assert rules_bounces.read_notification(notification(action, status, returned=returned)) == (OURS, outcome)


@pytest.mark.parametrize(("action", "status"), [
    ("delayed", "4.4.1"), ("relayed", "2.0.0"), ("expanded", "2.0.0"), ("failed", "4.2.2"), ("failed", "2.0.0"),
    ("delivered", "5.0.0"), ("", ""), ("exploded", "5.0.0"),
])  # fmt: skip
def test_a_delay_or_nonsense_is_no_end_of_a_mail(action: str, status: str) -> None:
    assert rules_bounces.read_notification(notification(action, status)) is None


@pytest.mark.parametrize("message_id", [
    "<somebody.else@example.lu>", OURS.replace("opendsp", "example.lu"), OURS.replace(".email", ".sms"),
    OURS + " " + OURS, OURS.upper(),
])  # fmt: skip
def test_a_mail_that_is_not_ours_never_came_back_to_us(message_id: str) -> None:
    assert rules_bounces.read_notification(notification(message_id=message_id)) is None


def test_our_mail_by_itself_is_no_notification_and_neither_is_a_forwarded_one() -> None:
    mail = EmailMessage()
    mail["Message-ID"] = OURS
    mail.set_content("Action: failed\nStatus: 5.0.0\n")
    assert rules_bounces.read_notification(mail.as_bytes()) is None


def test_a_bomb_of_parts_and_one_of_bytes_are_dropped() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (level, level) for level in range(2000))
    assert rules_bounces.read_notification(deep) is None
    assert rules_bounces.read_notification(notification() + b" " * rules_bounces.LONGEST) is None


@given(st.binary(max_size=2000), st.integers(0, 3000), st.integers(0, 60))
def test_whatever_the_bytes_are_nothing_is_raised(noise: bytes, at: int, cut: int) -> None:
    raw = notification()
    at %= len(raw)
    for bytes_given in (noise, raw[:at] + noise + raw[at + cut :]):
        told = rules_bounces.read_notification(bytes_given)
        assert told is None or told == (OURS, "bounced") or rules_delivery.event_of_reference(told[0]) is not None


# --- print batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "batch", "activated", "ago", "refused"), [
    ("waiting", None, False, None, None),
    ("waiting", None, True, None, None),
    ("printed", None, False, 1, None),
    ("printed", "open", False, 1, LetterInBatch),
    ("posted", "confirmed", False, 1, None),
    ("posted", "confirmed", True, 1, LetterSpent),
    ("posted", "confirmed", False, 90, LetterSpent),
])  # fmt: skip
def test_a_letter_is_printed_again_while_its_code_can_still_be_used_and_no_pile_holds_it(
    state: str, batch: str | None, activated: bool, ago: int | None, refused: type | None
) -> None:
    printed_at = None if ago is None else NOW - timedelta(days=ago)
    refusal = rules_batches.cannot_reprint(state, printed_at, batch, activated, NOW)
    assert (refusal is None) if refused is None else isinstance(refusal, refused)


@given(st.permutations(range(1, 8)))
def test_a_manifest_is_in_the_order_of_its_pile_and_names_nobody(places: list[int]) -> None:
    letters = [
        {"place": place, "letter_id": f"letter-{place}", "occasion": "record_opened", "pages": 2, "digest": bytes(32),
         "recipient_id": "somebody"}
        for place in places
    ]  # fmt: skip
    batch = {"batch_id": "b", "state": "open", "size": 7, "made_at": NOW, "confirmed_at": None}
    manifest = rules_batches.manifest(batch, letters, str)
    assert [line["place"] for line in manifest["letters"]] == list(range(1, 8))
    assert [line["file"] for line in manifest["letters"]] == [f"letter-{place}.pdf" for place in range(1, 8)]
    assert "somebody" not in str(manifest)
