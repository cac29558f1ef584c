"""Every occasion on which people are told something, in one table: who hears of it, what switches it, who fixed it.

No I/O, no clock. What the words of an occasion are, the catalogues say; on which ways and when it goes out,
rules_ways.py does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HOLDER: Final = "holder"
REPRESENTATIVE: Final = "representative"
ASSISTANT: Final = "assistant"
PROFESSIONAL: Final = "professional"
AGENT: Final = "agent"
ACCOUNT: Final = "account"
"""Whoever owns an account, in whatever capacity they act in it."""

ROLES: Final = (HOLDER, REPRESENTATIVE, ASSISTANT)
"""As what somebody of the holder side hears of a record; the catalogues have words for each."""
AUDIENCES: Final = (*ROLES, PROFESSIONAL, AGENT, ACCOUNT)

EMAIL: Final = "email"
SMS: Final = "sms"
INBOX: Final = "inbox"
PUSH: Final = "push"
CHANNELS: Final = (EMAIL, SMS, INBOX, PUSH)
"""In the order in which they are shown."""

DEFAULT: Final = (EMAIL, INBOX, PUSH)
"""On which ways somebody is told who has set nothing; without an e-mail address the mail becomes an SMS."""
AWAY: Final = (EMAIL, SMS)
"""The ways of what goes to addresses alone: a code, or an account's own affairs, for which there is no inbox."""

SECURITY: Final = "GDPR 32"
"""Why an account's own affairs are told in any case: security of processing."""


@dataclass(frozen=True)
class Occasion:
    """One thing of which people are told.

    setting: what a person switches; several occasions may share one. audience: as what somebody hears of it.
    fixed: the rule that has it told in any case; None where it may be switched off. urgent: neither quiet hours nor a
    digest keep it back. coalesced: told at most once an hour. channels: on which ways it goes out where nothing is set.
    """

    name: str
    setting: str
    audience: tuple[str, ...]
    fixed: str | None = None
    urgent: bool = False
    coalesced: bool = False
    channels: tuple[str, ...] = DEFAULT


_OWN_DEPOSITS: Final = "own_deposits"
NEW_DOCUMENT: Final = "new_documents"
"""The setting of what is told only of the document types and authors that somebody chose."""

_SIDE: Final = ROLES  # assistants and representatives get what the holder gets, each as they have set it
_THEM: Final = (PROFESSIONAL,)


def _account(*names: str) -> tuple[Occasion, ...]:
    return tuple(Occasion(name, "account", (ACCOUNT,), SECURITY, urgent=True, channels=AWAY) for name in names)


_TABLE: Final[tuple[Occasion, ...]] = (
    # --- one's own account ---
    *_account(
        "one_time_code.contact",
        "one_time_code.log_in",
        "one_time_code.helpdesk_contact",
        "account_notice.contact_added",
        "account_notice.contact_removed",
        "account_notice.password_changed",
        "account_notice.password_reset_requested",
        "account_notice.password_reset",
        "account_notice.luxtrust_linked",
        "account_notice.luxtrust_unlinked",
        "account_notice.passkey_added",
        "account_notice.passkey_removed",
        "account_notice.authenticator_added",
        "account_notice.authenticator_removed",
        "account_notice.account_locked",
        "account_notice.account_unlocked",
        "account_notice.helpdesk_answered",
        "account_notice.new_device",
    ),
    # --- the holder side: who gets in ---
    Occasion("record_first_accessed_by", "first_access", (HOLDER,), "RGD 3(3)", urgent=True),
    Occasion("record_news.first_access", "first_access", (REPRESENTATIVE, ASSISTANT), "RGD 3(3)", urgent=True),
    Occasion("record_news.new_professional", "new_professional", _SIDE),
    Occasion("record_news.emergency_access_opened", "emergency_access", _SIDE, "RGD 3(3)", urgent=True),
    Occasion("record_news.responsibility_access_opened", "responsibility_access", _SIDE, "RGD 3(3)", urgent=True),
    Occasion("record_news.mandate_opened", "mandates", _SIDE),
    Occasion("record_news.mandate_ended", "mandates", _SIDE),
    Occasion("record_news.mandate_ending", "mandates", _SIDE),
    Occasion("record_news.circle_added", "circle", _SIDE),
    Occasion("record_news.circle_removed", "circle", _SIDE),
    Occasion("record_news.presence_code_tried", "presence_code", _SIDE, urgent=True, coalesced=True),
    Occasion("record_news.presence_code_regenerated", "presence_code", _SIDE, urgent=True),
    Occasion("record_news.grant_ended", "lasting_access", _SIDE),
    Occasion("record_news.licence_stops_grants", "licences", _SIDE, "RGD 7(4)"),
    Occasion("record_news.assistant_accepted", "entourage", _SIDE),
    Occasion("record_news.assistant_ended", "entourage", _SIDE),
    Occasion("record_news.own_access_ended", "entourage", (REPRESENTATIVE, ASSISTANT)),  # to who had it, no one else
    Occasion("record_news.representative_recorded", "entourage", _SIDE),
    Occasion("record_news.referring_proposed", "referring_physician", _SIDE),
    Occasion("record_news.referring_effective", "referring_physician", _SIDE),
    Occasion("record_news.referring_ending", "referring_physician", _SIDE),
    Occasion("record_news.referring_ended", "referring_physician", _SIDE),
    # --- the holder side: the record and what is in it ---
    Occasion("record_news.lapsed", "record_state", _SIDE),
    Occasion("record_news.closed", "record_state", _SIDE),
    Occasion("record_news.reopened", "record_state", _SIDE),
    Occasion("record_news.deleted", "record_state", _SIDE),
    Occasion("record_news.document_added", NEW_DOCUMENT, _SIDE),
    Occasion("record_news.document_shown", "shown_documents", _SIDE),
    Occasion("record_news.dispensed", "dispensations", _SIDE),
    Occasion("record_news.document_removed", "document_ends", _SIDE),
    Occasion("record_news.documents_expired", "document_ends", _SIDE, coalesced=True),
    Occasion("record_news.deposit_overdue", "deposit_wishes", _SIDE),
    Occasion("record_news.deposit_opposed", "deposit_wishes", _SIDE),
    Occasion("record_news.rectification_answered", "rectifications", _SIDE),
    Occasion("record_news.case_answered", "cases", _SIDE),
    # --- professionals ---
    Occasion("record_news.professional.mandate_opened", "mandates", _THEM),
    Occasion("record_news.professional.mandate_ending", "mandates", _THEM),
    Occasion("record_news.professional.circle_added", "circle", _THEM),
    Occasion("record_news.professional.document_added", NEW_DOCUMENT, _THEM, channels=()),  # who wishes to hear says so
    Occasion("record_news.physician.referring_proposed", "referring_physician", _THEM),
    Occasion("record_news.physician.referring_effective", "referring_physician", _THEM),
    Occasion("record_news.physician.referring_ending", "referring_physician", _THEM),
    Occasion("record_news.physician.referring_ended", "referring_physician", _THEM),
    Occasion("record_news.block_reminder", "hidden_documents", _THEM, "L14 16(5)"),
    Occasion("record_news.block_escalated", "hidden_documents", _THEM, "L14 16(5)"),
    Occasion("record_news.physician.block_escalated", "hidden_documents", _THEM, "L14 16(5)"),
    Occasion("record_news.author.document_removed", "document_ends", _THEM),
    Occasion("record_news.deposit_requested", "deposit_wishes", _THEM, "RGD 9(2)"),
    Occasion("record_news.deposit_withdrawn", "deposit_wishes", _THEM, "RGD 9(2)"),
    Occasion("record_news.rectification_asked", "rectifications", _THEM, "L14 18"),
    Occasion("record_news.rectification_overdue", "rectifications", _THEM, "L14 18"),
    # --- letters between people: never what stands in one ---
    Occasion("thread.message", "messages", (HOLDER, REPRESENTATIVE, PROFESSIONAL)),
    # --- the agency's agents: that something waits in a queue, at most once an hour ---
    *(
        Occasion(f"queue.{queue}", f"queue_{queue}", (AGENT,), coalesced=True)
        for queue in ("reviews", "cases", "alerts", "removals", "helpdesk", "letters")
    ),
    # --- whoever deposited something, in whatever capacity ---
    Occasion("record_news.deposit_rejected", _OWN_DEPOSITS, (ACCOUNT,), channels=(EMAIL, INBOX)),
)

OCCASIONS: Final[dict[str, Occasion]] = {occasion.name: occasion for occasion in _TABLE}
"""By name. Whatever is told stands here; a name that does not is told to nobody."""

DIGEST: Final = "digest"
"""The one message of a day that stands for many: not an occasion of anybody's, but a text in the catalogues."""

_HEARD_AS: Final[dict[str, tuple[str, ...]]] = {
    "patient": (*ROLES, ACCOUNT), "professional": (PROFESSIONAL, ACCOUNT), "account": (AGENT, ACCOUNT),
}  # fmt: skip
"""As what a person hears, by the kind of a `Reader`; an agent is known by their account alone."""


def told_to(audience: str) -> tuple[Occasion, ...]:
    """All that somebody hears of as this."""
    return tuple(occasion for occasion in OCCASIONS.values() if audience in occasion.audience)


def of_setting(setting: str, kind: str) -> tuple[Occasion, ...]:
    """The occasions that this setting switches for this kind of person (of a `Reader`)."""
    return tuple(occasion for occasion in _heard_by(kind) if occasion.setting == setting)


def settings_of(kind: str) -> tuple[str, ...]:
    """What this kind of person may set, in the order of the table."""
    return tuple(dict.fromkeys(occasion.setting for occasion in _heard_by(kind)))


def _heard_by(kind: str) -> tuple[Occasion, ...]:
    mine = set(_HEARD_AS[kind])
    never = {_OWN_DEPOSITS} if kind == "account" else set()
    return tuple(one for one in OCCASIONS.values() if mine & set(one.audience) and one.setting not in never)
