"""Notifications' decisions, its five catalogues and its letters: what is said, and what never is."""

from __future__ import annotations

import email
import email.policy
import io
import itertools
import json
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pypdfium2 as pdfium
import pytest
import segno
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pypdf import PdfReader

from services.identity.contract import NOTICE_OCCASIONS
from services.identity.rules import ONE_TIME_CODE_LIFETIME
from services.identity.rules_recovery import RESET_LIFETIME
from services.notifications import rules
from services.notifications import rules_subscriptions as systems
from services.notifications.contract import (
    DOCUMENT_BLOCKED,
    DOCUMENT_CONFIDENTIALITY_CHANGED,
    DOCUMENT_DEPOSITED,
    DOCUMENT_RELEASED,
    FOREIGN_EVENT_TYPES,
    LANGUAGES,
    SUBSCRIPTIONS,
)
from services.notifications.ports import letters as letters_port
from services.notifications.ports.letters import Letters, Sheet, render
from services.notifications.ports.mail import MailRefused, compose
from services.notifications.ports.subscriber_broker import encode
from services.notifications.ports.texts import CATALOGUES, catalogue, date_text, mail_text, sms_text, time_text
from services.notifications.reference_subscriber import understood
from services.notifications.rules_occasions import OCCASIONS
from services.notifications.rules_subscriptions import Owner
from services.notifications.service import Notifications

EVENT = "01936f00-0000-7000-8000-000000000001"
OTHER_EVENT = "01936f00-0000-7000-8000-000000000002"
PERSON = "01936f00-0000-7000-8000-00000000000a"
OTHER_PERSON = "01936f00-0000-7000-8000-00000000000b"
AT = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
MATRICULE = "1900010100564"
CODES = ("one_time_code.contact", "one_time_code.helpdesk_contact", "one_time_code.log_in")
MAILS = tuple(OCCASIONS)
NEVER_BY_SMS = "account_notice.password_reset_requested"
SMS = tuple(occasion for occasion in MAILS if occasion != NEVER_BY_SMS)
LETTERS = (
    "record_opened", "account_invited.professional", "account_invited.agent", "letter_activation", "letter_recovery",
)  # fmt: skip
VALUES = {
    "portal": "http://localhost:8080", "code": "6wqxU4", "minutes": "5", "date": "21 November 2026", "time": "10:15",
    "link": "http://localhost:8080/password-reset#id.token", "concerns": "It concerns you.", "whose": " (somebody)",
}  # fmt: skip
DOCUMENT = systems.KnownDocument(
    document_id="01936f00-0000-7000-8000-0000000000d1", record_id="01936f00-0000-7000-8000-0000000000e1",
    version_id="01936f00-0000-7000-8000-0000000000f1", document_type="medical_report", category="care_reports",
    author_id=PERSON, level="standard",
)  # fmt: skip


def sheet(**changes: Any) -> Sheet:
    made = Sheet(
        letter_id=EVENT, occasion="record_opened", language="fr", name_lines=("Madame", "Chelo DOE-WINTER"),
        address_lines=("12, rue de l'Église", "L-1234 Luxembourg"), activation_code="K7QM-3XWP-9RTD",
        activation_expires_at=AT + timedelta(days=90), presence_code="R4TK9WPX", portal="http://localhost:8080",
        reference="", at=AT,
    )  # fmt: skip
    return replace(made, **changes)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def places(texts: Any, path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every sentence of a catalogue by its path, with the places somebody must fill."""
    if isinstance(texts, str):
        yield path, tuple(sorted(name for _, name, _, _ in string.Formatter().parse(texts) if name))
    elif isinstance(texts, list):
        for number, text in enumerate(texts):
            yield from places(text, f"{path}/{number}")
    else:
        for name, text in texts.items():
            yield from places(text, f"{path}/{name}")


# --- identities that repeat -------------------------------------------------------------------------------------------


def test_a_letter_has_the_same_id_at_each_retry_of_its_event() -> None:
    assert rules.letter_id_for(EVENT, PERSON) == rules.letter_id_for(EVENT, PERSON)
    assert rules.is_id(rules.letter_id_for(EVENT, PERSON))


def test_another_event_or_another_person_has_another_letter() -> None:
    made = {rules.letter_id_for(e, p) for e, p in itertools.product((EVENT, OTHER_EVENT), (PERSON, OTHER_PERSON))}
    assert len(made) == 4


def test_a_mail_keeps_its_message_id_and_shares_it_with_no_other() -> None:
    every = [
        rules.message_id_for(e, p, c)
        for e, p, c in itertools.product((EVENT, OTHER_EVENT), (PERSON, OTHER_PERSON), ("email", "sms"))
    ]
    assert len(set(every)) == 8
    assert rules.message_id_for(EVENT, PERSON, "email") == every[0]


def test_a_message_id_shows_the_event_and_not_the_person() -> None:
    made = rules.message_id_for(EVENT, PERSON, "email")
    assert made.startswith(f"<{EVENT}.") and made.endswith(".email@opendsp>")
    assert PERSON not in made


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_is_written_to_in_their_language(language: str) -> None:
    assert rules.language_of(language) == language


@pytest.mark.parametrize("language", [None, "", "it", "FR"])
def test_a_language_we_do_not_write_becomes_french(language: str | None) -> None:
    assert rules.language_of(language) == "fr"


def test_an_sms_keeps_its_client_reference_which_is_fit_for_a_files_name() -> None:
    every = itertools.product((EVENT, OTHER_EVENT), (PERSON, OTHER_PERSON))
    made = {rules.client_reference_for(event, person) for event, person in every}
    assert len(made) == 4 and rules.client_reference_for(EVENT, PERSON) in made
    assert all(re.fullmatch(r"[0-9a-z.-]+", one) and PERSON not in one for one in made)


def test_what_a_message_says_of_a_link_and_a_code_is_what_identity_decides() -> None:
    assert timedelta(minutes=rules.RESET_LINK_MINUTES) == RESET_LIFETIME
    assert timedelta(minutes=rules.ONE_TIME_CODE_MINUTES) == ONE_TIME_CODE_LIFETIME


@pytest.mark.parametrize("portal", ["https://dsp.lu", "https://dsp.lu/"])
def test_what_opens_a_reset_stands_behind_the_hash_where_no_server_sees_it(portal: str) -> None:
    assert rules.reset_link(portal, "id.token") == "https://dsp.lu/password-reset#id.token"


# --- subscriptions ----------------------------------------------------------------------------------------------------


def test_an_agent_manages_everybody_s_subscriptions() -> None:
    assert systems.owner("agent", None, None) == Owner(None, None)


@pytest.mark.parametrize("capacity", ["machine", "professional"])
def test_software_manages_its_own_where_it_works(capacity: str) -> None:
    assert systems.owner(capacity, "client", "hospital") == Owner("client", "hospital")
    assert systems.owner(capacity, "client", None) is None


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine", "", "Agent"])
def test_nobody_else_manages_subscriptions(capacity: str) -> None:
    assert systems.owner(capacity, None, "hospital") is None


@pytest.mark.parametrize(
    ("until", "again"),
    [(None, systems.LOOK_AGAIN), (timedelta(minutes=3), timedelta(minutes=3)), (timedelta(days=9), systems.LOOK_AGAIN)],
)
def test_what_was_told_is_looked_at_again_when_the_clock_ends_it_and_each_day_at_the_latest(
    until: timedelta | None, again: timedelta
) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert systems.look_again_at(None if until is None else at + until, at) == at + again


@pytest.mark.parametrize("event_type", FOREIGN_EVENT_TYPES)
def test_a_known_event_type_may_be_subscribed_to(event_type: str) -> None:
    assert systems.wrong_event_types([event_type]) == []


@pytest.mark.parametrize(
    ("wished", "pointer"),
    [
        ([], "/event_types"),
        (None, "/event_types"),
        ("lu.dsp.document.deposited.v1", "/event_types"),
        (["lu.dsp.record.opened.v9"], "/event_types/0"),
        ([DOCUMENT_DEPOSITED, {}], "/event_types/1"),
        (["access_traced.v1"], "/event_types/0"),
    ],
)
def test_any_other_event_type_is_refused_where_it_stands(wished: object, pointer: str) -> None:
    assert [error["pointer"] for error in systems.wrong_event_types(wished)] == [pointer]


@pytest.mark.parametrize(
    ("page", "pointers"),
    [
        ((None, 50, None), []),
        ((EVENT, 1, EVENT), []),
        (("x", 50, None), ["/establishment_id"]),
        ((None, 0, None), ["/limit"]),
        ((None, 101, None), ["/limit"]),
        ((None, True, None), ["/limit"]),
        ((None, "5", "later"), ["/limit", "/cursor"]),
    ],
)
def test_a_page_is_asked_for_within_its_bounds(page: tuple[Any, Any, Any], pointers: list[str]) -> None:
    assert [error["pointer"] for error in rules.wrong_page(*page, 100)] == pointers


def test_a_credential_is_random_in_all_its_parts() -> None:
    one, other = (
        systems.credential_from(bytes(range(64))),
        systems.credential_from(bytes(range(1, 65))),
    )
    assert one.queue.startswith("sub.") and len(one.queue) == 30
    assert one.username.startswith("foreign-")
    assert len(one.password) == 43  # 256 bits
    assert one.queue[4:] != one.username[8:]
    assert {one.queue, one.username, one.password}.isdisjoint({other.queue, other.username, other.password})


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_credential_is_never_made_of_less(length: int) -> None:
    with pytest.raises(ValueError, match="64"):
        systems.credential_from(bytes(length))


def test_the_right_password_matches_its_digest() -> None:
    assert systems.password_matches("secret", systems.password_digest("secret"))


@pytest.mark.parametrize(("offered", "kept"), [("wrong", "secret"), ("", "secret"), ("secret ", "secret")])
def test_a_wrong_password_does_not(offered: str, kept: str) -> None:
    assert not systems.password_matches(offered, systems.password_digest(kept))


def test_an_unknown_user_has_no_password_at_all() -> None:
    assert not systems.password_matches("", None)
    assert not systems.password_matches("anything", None)


def test_the_digest_is_not_the_password() -> None:
    assert b"secret" not in systems.password_digest("secret")


def test_a_queue_is_durable_and_bounded_in_bytes_and_age() -> None:
    assert systems.queue_arguments() == {
        "x-queue-type": "quorum",
        "x-max-length-bytes": 67108864,
        "x-overflow": "reject-publish",
        "x-message-ttl": 1209600000,
    }


def test_a_queue_is_gone_for_good_only_when_no_event_can_be_on_its_way() -> None:
    assert systems.queue_stays_removed(None, AT)
    assert systems.queue_stays_removed(AT - timedelta(minutes=2), AT)
    assert not systems.queue_stays_removed(AT - timedelta(seconds=119), AT)


# --- what a foreign account may do ------------------------------------------------------------------------------------

OWN = {"own_vhost": "opendsp-subscribers", "own_queue": "sub.mine"}


def test_a_foreign_account_enters_the_subscribers_vhost() -> None:
    assert systems.may_enter("opendsp-subscribers", "opendsp-subscribers")


@pytest.mark.parametrize("vhost", ["opendsp", "/", "", "opendsp-subscribers2"])
def test_a_foreign_account_enters_no_other_vhost(vhost: str) -> None:
    assert not systems.may_enter(vhost, "opendsp-subscribers")


def test_a_foreign_account_reads_its_own_queue() -> None:
    assert systems.may_touch("opendsp-subscribers", "queue", "sub.mine", "read", **OWN)


@pytest.mark.parametrize(
    ("vhost", "resource", "name", "permission"),
    [
        case
        for case in itertools.product(
            ("opendsp-subscribers", "opendsp", "/"),
            ("queue", "exchange", "topic"),
            ("sub.mine", "sub.other", "subscriptions", "dossier.inbox", "amq.gen-x", "", "sub.mine.more"),
            ("read", "write", "configure"),
        )
        if case != ("opendsp-subscribers", "queue", "sub.mine", "read")
    ],
)
def test_a_foreign_account_touches_nothing_else(vhost: str, resource: str, name: str, permission: str) -> None:
    assert not systems.may_touch(vhost, resource, name, permission, **OWN)


def test_an_account_without_a_queue_touches_nothing_at_all() -> None:
    assert not systems.may_touch("opendsp-subscribers", "queue", "", "read", own_vhost="opendsp-subscribers",
                               own_queue=None)  # fmt: skip


# --- events for foreign systems ---------------------------------------------------------------------------------------


def test_a_deposit_is_told_as_a_cloudevent_of_ids_and_codes() -> None:
    event = systems.deposited_event(EVENT, DOCUMENT, "2026-11-21T09:15:00.000000Z")
    assert json.loads(encode(event)) == {
        "specversion": "1.0",
        "id": EVENT,
        "source": "urn:dsp",
        "type": "lu.dsp.document.deposited.v1",
        "subject": DOCUMENT.record_id,
        "time": "2026-11-21T09:15:00Z",
        "datacontenttype": "application/json",
        "data": {
            "record_id": DOCUMENT.record_id,
            "document_id": DOCUMENT.document_id,
            "version_id": DOCUMENT.version_id,
            "type": "medical_report",
            "category": "care_reports",
            "level": "standard",
            "deposited_at": "2026-11-21T09:15:00.000000Z",
        },
    }


def test_a_new_level_is_told_without_the_one_before_and_without_the_author() -> None:
    event = systems.confidentiality_changed_event(
        EVENT, replace(DOCUMENT, level="confidential"), "2026-11-21T09:15:00Z"
    )
    assert event.type == DOCUMENT_CONFIDENTIALITY_CHANGED
    assert event.data["level"] == "confidential"
    assert not {"previous", "author_id", "title"} & set(event.data)
    assert PERSON not in encode(event).decode()


@pytest.mark.parametrize(
    ("made", "type_", "named"),
    [
        (systems.blocked_event, DOCUMENT_BLOCKED, "blocked_at"),
        (systems.released_event, DOCUMENT_RELEASED, "released_at"),
    ],
)
def test_a_patient_block_is_told_without_a_reason_and_without_whose_it_was(made: Any, type_: str, named: str) -> None:
    event = made(EVENT, replace(DOCUMENT, restricted=(OTHER_PERSON,)), "2026-11-21T09:15:00.000000Z")
    assert event.type == type_ and event.data[named] == "2026-11-21T09:15:00.000000Z"
    assert set(event.data) == {"record_id", "document_id", "version_id", "type", "category", "level", named}
    assert PERSON not in encode(event).decode() and OTHER_PERSON not in encode(event).decode()


def test_the_same_event_is_the_same_bytes_however_often_it_is_sent() -> None:
    event = systems.deposited_event(EVENT, DOCUMENT, "2026-11-21T09:15:00.000000Z")
    assert encode(event) == encode(event)


def test_the_sdk_and_the_reference_subscriber_understand_what_goes_out() -> None:
    body = encode(systems.deposited_event(EVENT, DOCUMENT, "2026-11-21T09:15:00.000000Z"))
    read = JSONFormat().read(CloudEvent, body)
    assert read.get_id() == EVENT and read.get_subject() == DOCUMENT.record_id
    taken = understood("application/cloudevents+json; charset=utf-8", body)
    assert taken is not None and taken["id"] == EVENT


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t"}'),
        (None, b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t"}'),
        ("application/cloudevents+json", b"not json"),
        ("application/cloudevents+json", b"[]"),
        ("application/cloudevents+json", b'{"specversion": "0.3", "id": "1", "source": "s", "type": "t"}'),
        ("application/cloudevents+json", b'{"specversion": "1.0", "id": "", "source": "s", "type": "t"}'),
        ("application/cloudevents+json", b'{"specversion": "1.0", "id": 1, "source": "s", "type": "t"}'),
    ],
)
def test_the_reference_subscriber_takes_nothing_else_for_an_event(content_type: str | None, body: bytes) -> None:
    assert understood(content_type, body) is None


def test_dossier_hears_of_a_document_what_a_decision_needs_and_no_more() -> None:
    assert systems.facts_for_readers(DOCUMENT) == {
        "record_id": DOCUMENT.record_id, "category": "care_reports", "type": DOCUMENT.document_type, "folder": "",
        "level": "standard", "author_id": PERSON, "patient_blocked": False, "withheld": False, "restricted": [],
    }  # fmt: skip


def test_dossier_hears_whom_the_document_is_hidden_from() -> None:
    facts = systems.facts_for_readers(replace(DOCUMENT, restricted=(PERSON, OTHER_PERSON)))
    assert facts["restricted"] == [PERSON, OTHER_PERSON]


def test_each_establishment_is_asked_about_once() -> None:
    found = [{"establishment_id": "b"}, {"establishment_id": "a"}, {"establishment_id": "b"}]
    assert systems.establishments_of(found) == ["a", "b"]


def test_every_subscription_of_the_contract_has_its_handler() -> None:
    assert all(hasattr(Notifications, handler) for handler in SUBSCRIPTIONS.values())


# --- catalogues -------------------------------------------------------------------------------------------------------


def test_there_is_one_catalogue_for_each_language() -> None:
    assert {file.stem for file in CATALOGUES.glob("*.json")} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_catalogue_has_the_same_sentences_with_the_same_places(language: str) -> None:
    assert dict(places(catalogue(language))) == dict(places(catalogue("fr")))


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "fr"])
def test_no_sentence_was_left_untranslated(language: str) -> None:
    def sentences(of: str) -> dict[str, str]:
        def walk(texts: Any, path: str) -> Iterator[tuple[str, str]]:
            if isinstance(texts, str):
                yield path, texts
            else:
                for name, text in texts.items() if isinstance(texts, dict) else enumerate(texts):
                    yield from walk(text, f"{path}/{name}")

        return dict(walk(catalogue(of), ""))

    french, translated = sentences("fr"), sentences(language)
    same = [path for path in french if translated[path] == french[path] and french[path].count(" ") > 2]
    assert same == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_has_a_text_for_every_occasion_and_none_for_others(language: str) -> None:
    mails = {name for name, told in catalogue(language)["mail"].items() if isinstance(told, dict)}
    letters = {name for name, told in catalogue(language)["letter"].items() if isinstance(told, dict)}
    of_notices = {rules.occasion_of_notice(occasion) for occasion in NOTICE_OCCASIONS}
    assert mails == set(MAILS) >= {*rules.OCCASION_OF_PURPOSE.values(), *of_notices}
    assert set(catalogue(language)["sms"]) == set(SMS)
    assert letters == set(LETTERS) == {*rules.LETTER_OF_INVITED.values(), rules.LETTER_OF_RECOVERY, "record_opened"}


@pytest.mark.parametrize("kind", ["patient", "professional", "agent"])
def test_who_has_an_account_gets_another_letter_than_who_has_none(kind: str) -> None:
    assert rules.letter_of_invited(kind, "activation") == rules.LETTER_OF_INVITED[kind]
    assert rules.letter_of_invited(kind, "recovery") == "letter_recovery"
    for purpose in ("activation", "recovery"):
        with pytest.raises(KeyError):
            rules.letter_of_invited("machine", purpose)


def test_a_language_without_a_catalogue_is_an_error() -> None:
    with pytest.raises(KeyError):
        catalogue("../../settings")


@pytest.mark.parametrize(
    ("language", "day"),
    [("fr", "21 novembre 2026"), ("de", "21. November 2026"), ("en", "21 November 2026"),
     ("pt", "21 de novembro de 2026"), ("lb", "21. November 2026")],
)  # fmt: skip
def test_a_date_is_written_as_in_luxembourg(language: str, day: str) -> None:
    assert date_text(AT, language) == day
    assert time_text(AT, language) == "10:15"


def test_a_late_evening_belongs_to_the_day_it_is_in_luxembourg() -> None:
    assert date_text(datetime(2026, 11, 20, 23, 30, tzinfo=UTC), "fr") == "21 novembre 2026"


# --- mail -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "occasion"), itertools.product(LANGUAGES, MAILS))
def test_every_mail_renders_in_every_language_without_a_hole(language: str, occasion: str) -> None:
    text = mail_text(occasion, language, VALUES)
    for part in (text.subject, text.plain, text.html):
        assert "{" not in part and "}" not in part
    assert "\n" not in text.subject
    assert f'lang="{language}"' in text.html


@pytest.mark.parametrize(("language", "purpose"), itertools.product(LANGUAGES, rules.OCCASION_OF_PURPOSE))
def test_a_code_stands_on_a_line_of_its_own_with_its_validity(language: str, purpose: str) -> None:
    text = mail_text(rules.OCCASION_OF_PURPOSE[purpose], language, VALUES)
    assert "6wqxU4" in text.plain.splitlines()
    assert " 5 min" in text.plain.lower()
    assert "6wqxU4" in text.html
    assert "6wqxU4" not in text.subject


def test_a_place_nobody_fills_is_an_error_and_no_mail() -> None:
    with pytest.raises(KeyError):
        mail_text("one_time_code.log_in", "fr", {"portal": "x", "minutes": "5"})


@pytest.mark.parametrize(("language", "occasion"), itertools.product(LANGUAGES, MAILS))
def test_a_mail_has_no_health_data_no_name_and_loads_nothing(language: str, occasion: str) -> None:
    text = mail_text(occasion, language, VALUES)
    whole = (text.subject + text.plain + text.html).lower()
    words = {
        "rapport", "résultat", "ordonnance", "diagnos", "laborat", "report", "result", "befund", "relatório",
        "matricule", "matrikel", "matrícula", MATRICULE, "dr ", "docteur", "doctor", "<img", "<script", "src=", "@",
    }  # fmt: skip
    assert [word for word in words if word in whole] == []


@pytest.mark.parametrize(("language", "occasion"), itertools.product(LANGUAGES, SMS))
def test_every_sms_is_short_and_has_no_hole_no_health_data_and_no_way_in(language: str, occasion: str) -> None:
    text = sms_text(occasion, language, VALUES)
    assert text.startswith("DSP") and len(text) <= 200 and not set(text) & set("{}\n@")
    assert ("6wqxU4" in text) is (occasion in CODES) and "password-reset" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_of_a_reset_stands_on_a_line_of_its_own_and_can_be_followed(language: str) -> None:
    text = mail_text(NEVER_BY_SMS, language, {**VALUES, "minutes": str(rules.RESET_LINK_MINUTES)})
    assert VALUES["link"] in text.plain.splitlines() and " 30 " in text.plain
    assert f'<a href="{VALUES["link"]}"' in text.html and text.html.count(VALUES["link"]) == 2


def test_values_cannot_bring_markup_into_a_mail() -> None:
    text = mail_text("one_time_code.log_in", "fr", {**VALUES, "code": "<b>"})
    assert "<b>" not in text.html and "&lt;b&gt;" in text.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_can_be_read_back_as_it_was_written(language: str) -> None:
    text = mail_text("record_first_accessed_by", language, VALUES)
    made = compose(text, sender="dsp@example.lu", to="a@example.lu", message_id="<1@opendsp>", language=language, at=AT)
    read = email.message_from_bytes(made, policy=email.policy.default)
    assert read["Subject"] == text.subject
    assert read["Message-ID"] == "<1@opendsp>" and read["Auto-Submitted"] == "auto-generated"
    plain, html = read.get_body(("plain",)), read.get_body(("html",))
    assert plain is not None and plain.get_content().splitlines() == text.plain.splitlines()
    assert html is not None and html.get_content().strip() == text.html


def test_an_address_cannot_bring_headers_into_a_mail() -> None:
    text = mail_text("one_time_code.log_in", "fr", VALUES)
    with pytest.raises(MailRefused):
        compose(text, sender="dsp@example.lu", to="a@example.lu\nBcc: b@example.lu", message_id="<1@opendsp>",
                language="fr", at=AT)  # fmt: skip


# --- letters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_of_a_record_says_what_the_law_wants_said(language: str) -> None:
    text, texts = text_of(render(sheet(language=language))), catalogue(language)["letter"]
    assert f"{texts['activation_code']}K7QM-3XWP-9RTD" in text.splitlines()
    # In the letter's frame and on the card to cut out.
    assert text.splitlines().count(f"{texts['presence_code']}R4TK9WPX") == 2
    for section in texts["record_opened"]["sections"]:
        assert section["title"] in text
    assert len(texts["record_opened"]["sections"]) == 6
    assert date_text(AT + timedelta(days=90), language) in text
    assert "{" not in text


@pytest.mark.parametrize(("language", "occasion"), itertools.product(LANGUAGES, LETTERS[1:]))
def test_the_letter_of_an_invitation_has_one_code_and_one_page(language: str, occasion: str) -> None:
    pdf = render(sheet(language=language, occasion=occasion, presence_code=None, reference=EVENT))
    text, texts = text_of(pdf), catalogue(language)["letter"]
    assert f"{texts['activation_code']}K7QM-3XWP-9RTD" in text.splitlines()
    assert texts["presence_code"].strip() not in text
    assert len(PdfReader(io.BytesIO(pdf)).pages) == 1
    assert "{" not in text
    assert (EVENT in text) == (occasion == "account_invited.agent")


def test_a_letter_carries_name_and_address_and_embeds_its_fonts() -> None:
    pdf = render(sheet(name_lines=("Łukasz {DŽAMBAS} Σ",)))
    text = text_of(pdf)
    assert "Łukasz {DŽAMBAS} Σ" in text and "12, rue de l'Église" in text
    page: Any = PdfReader(io.BytesIO(pdf)).pages[0]
    assert [float(side) for side in page.mediabox[2:]] == pytest.approx([595.28, 841.89], abs=0.01)
    assert len(page["/Resources"]["/Font"]) == 3
    assert b"/FontFile2" in pdf and b"/Helvetica" not in pdf


def modules_at(pdf: bytes, page: int, text: str, x: float, y: float, size: float) -> tuple[list[bool], list[bool]]:
    """The dark modules that a QR code of this text has, and those that are printed where it should stand."""
    matrix = segno.make_qr(text, error="m").matrix
    scale, step = 16, size / (len(matrix) + 8)  # pixels in a millimetre
    image = pdfium.PdfDocument(pdf)[page].render(scale=scale * 25.4 / 72).to_pil().convert("L")
    printed = [
        image.getpixel((round((x + (right + 4.5) * step) * scale), round((y + (down + 4.5) * step) * scale))) < 128
        for down in range(len(matrix)) for right in range(len(matrix))
    ]  # fmt: skip
    return [bool(dark) for row in matrix for dark in row], printed


def test_the_codes_can_be_read_by_a_camera_and_reach_no_server_on_the_way() -> None:
    letter = letters_port._Letter(sheet())
    seen: list[tuple[int, str, float, float, float]] = []
    draw = letter._qr
    letter._qr = lambda text, x, y, size: (seen.append((letter.page_no(), text, x, y, size)), draw(text, x, y, size))  # type: ignore[assignment, method-assign]
    pdf = bytes(letter.compose().output())
    assert [text for _, text, *_ in seen] == ["http://localhost:8080/#activation=K7QM-3XWP-9RTD", "R4TK9WPX"]
    for page, text, x, y, size in seen:
        wanted, printed = modules_at(pdf, page - 1, text, x, y, size)
        assert wanted == printed and True in wanted and False in wanted


def test_the_address_stands_in_the_window_and_the_codes_do_not() -> None:
    seen: list[tuple[str, float, float]] = []
    page = PdfReader(io.BytesIO(render(sheet()))).pages[0]
    page.extract_text(visitor_text=lambda text, _cm, tm, _font, _size: seen.append((text.strip(), tm[4], tm[5])))
    millimetre = 72 / 25.4

    def in_window(x: float, y: float) -> bool:
        return 105 * millimetre <= x <= 195 * millimetre and 297 - 85 <= y / millimetre <= 297 - 45

    inside = " ".join(text for text, x, y in seen if in_window(x, y))
    assert "DOE-WINTER" in inside and "L-1234 Luxembourg" in inside
    assert "K7QM" not in inside and "R4TK9WPX" not in inside and "localhost" not in inside


def test_a_letter_is_readable_by_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Any) -> None:
    letters = Letters(str(tmp_path / "letters"))
    printed, path = letters.print(sheet()), tmp_path / "letters" / f"{EVENT}.pdf"
    assert printed.digest == sha256(path.read_bytes()).digest()
    assert printed.pages == len(PdfReader(io.BytesIO(path.read_bytes())).pages)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_printing_again_replaces_the_letter_and_what_a_crash_left(tmp_path: Any) -> None:
    letters = Letters(str(tmp_path))
    (tmp_path / f".{EVENT}.part").write_bytes(b"half a let")
    (tmp_path / f".{EVENT}.part").chmod(0o644)
    path = tmp_path / f"{EVENT}.pdf"
    letters.print(sheet())
    first = path.read_bytes()
    letters.print(sheet(activation_code="AAAA-BBBB-CCCC"))
    assert path.read_bytes() != first and "AAAA-BBBB-CCCC" in text_of(path.read_bytes())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_letter_is_not_written_through_a_link_somebody_laid(tmp_path: Any) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / f".{EVENT}.part").symlink_to(elsewhere)
    with pytest.raises(OSError):
        Letters(str(folder)).print(sheet())
    assert elsewhere.read_bytes() == b"untouched"
