"""Messages going out: those that are due, one at a time on each of several lines, and what becomes of each.

A message is locked while it is sent, so that no other replica sends it too, and its state stands in the commit that
follows the provider's answer. A process that dies in between has it sent again under the same Message-ID or client
reference. A provider that is away delays what goes by it, and nothing else.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import fresh_context
from services.db import now, rfc3339
from services.notifications import rules, rules_delivery, store_messages
from services.notifications.devices import Devices
from services.notifications.digests import Digests
from services.notifications.models_messages import Message
from services.notifications.ports.mail import MailPutOff, MailRefused
from services.notifications.ports.sms import SmsRefused
from services.notifications.ports.texts import (
    concerns,
    date_text,
    digest_mail,
    digest_sms,
    mail_text,
    sms_text,
    time_text,
)
from services.notifications.rules_delivery import FAILED, QUEUED, Fate
from services.notifications.rules_digests import Line
from services.notifications.rules_occasions import DIGEST, PUSH
from services.notifications.telling import Telling
from services.refusals import Unavailable
from services.tokens import Context

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reached:
    """Where a person can be told something now, in which language, and what the words of this message need."""

    contacts: list[dict[str, str]]
    language: str | None
    values: dict[str, str] = field(default_factory=dict)


class Away(OSError):
    """The way out that a message needs cannot be used for now."""


class Dispatching(Telling, Devices, Digests):
    """What the senders do, and handlers for whom somebody waits."""

    def _send_next(self, channel: str) -> bool:
        """Sends the message that is due on a channel; False when there is none.

        Raises Away, with everything noted, where trying the next one at once would only fail too.
        """
        with self.db.transaction() as session:
            claimed = store_messages.claim(session, channel, now())
            if claimed is None:
                return False
            message, hidden = claimed
            fate = Fate(FAILED, "hidden") if hidden else self._fate_of(session, message)
            self._note(session, message, fate)
        if fate.away:
            raise Away(fate.cause)
        return True

    def _fate_of(self, session: Session, message: Message, reached: Reached | None = None) -> Fate:
        """Sends one message; what became of it, whatever happens: one message must not stop the others.

        reached: where its handler knows that already.
        """
        if rules_delivery.is_over(message.expires_at, now()):
            return Fate(FAILED, "expired")
        try:
            if self._has_left(message):
                return Fate(FAILED, "ended")
            lines = self._lines_of_digest(session, message) if message.occasion == DIGEST else None
            if lines == []:
                return Fate(FAILED, "hidden")
            if message.channel == PUSH:
                return self._ring(message)
            reached = reached or self._reached(message)
            if reached is None:
                return Fate(FAILED, "spent")
            return self._hand_over(session, message, reached, lines)
        except (MailRefused, SmsRefused):
            return Fate(rules_delivery.BOUNCED, "refused")
        except MailPutOff:
            return Fate(QUEUED, "put_off")
        except (OSError, Unavailable) as missing:
            log.warning("message put off", extra=_told_of(message, missing))
            return Fate(QUEUED, "away", away=True)
        except Exception as fault:
            log.error("message put off", exc_info=fault, extra=_told_of(message, fault))
            return Fate(QUEUED, "fault")

    def _ring(self, message: Message) -> Fate:
        """Wakes the devices of a person for one message; what it says stands in the inbox, behind the log-in."""
        try:
            rung = self._wake(
                (message.recipient_kind, message.recipient_id), message.message_id, expires_at=message.expires_at,
                urgent=message.urgent,
            )  # fmt: skip
        except OSError:
            return Fate(QUEUED, "away")  # the way to this device: everybody has a push service of their own
        return rules_delivery.SENT_ON if rung == "sent" else Fate(FAILED, rung)

    def _hand_over(
        self, session: Session, message: Message, reached: Reached, lines: list[Line] | None
    ) -> Fate:  # fmt: skip
        channel, to = rules_delivery.address_for(message.channel, reached.contacts)
        if to is None:
            return Fate(FAILED, "no_channel")
        if channel != message.channel:
            if store_messages.stands(session, message.event_id, message.recipient_id, channel):
                return Fate(FAILED, "no_channel")
            return Fate(QUEUED, channel=channel)
        message.language = rules.language_of(reached.language)
        values = {"portal": self.outside.portal, **self._words(message, message.language), **reached.values}
        return self._post(message, to, values, lines)

    def _post(self, message: Message, to: str, values: dict[str, str], lines: list[Line] | None) -> Fate:
        """Gives one message to its provider. Raises MailRefused or SmsRefused for good, OSError for now."""
        language = rules.language_of(message.language)
        if message.channel == rules.EMAIL:
            if lines is None:
                text = mail_text(message.occasion, language, values, message.count)
            else:
                text = digest_mail(lines, language, values)
            message_id = rules.message_id_for(message.event_id, message.recipient_id, message.channel)
            self.outside.mailer.send(text, to=to, message_id=message_id, language=language, at=now())
        elif self.outside.sms is None:
            return Fate(FAILED, "no_channel")
        else:
            reference = rules.client_reference_for(message.event_id, message.recipient_id)
            if lines is None:
                words = sms_text(message.occasion, language, values, message.count)
            else:
                words = digest_sms(lines, language, values)
            self.outside.sms.send(words, to=to, client_reference=reference)
        return rules_delivery.SENT_ON

    def _words(self, message: Message, language: str) -> dict[str, str]:
        """What stands in every notice: when it happened, and whose record it is about, never by name."""
        happened = message.happened_at
        told = {"date": date_text(happened, language), "time": time_text(happened, language)}
        return told | concerns(message.role, language)

    def _note(self, session: Session, message: Message, fate: Fate) -> None:
        """Writes down what became of a message; one that goes on by another way wakes those who send there."""
        at, share = now(), secrets.randbelow(1000) / 1000
        facts = {"attempts": message.attempts, "history": message.history}
        for name, value in rules_delivery.changed(facts, fate, at, rfc3339(at), share).items():
            setattr(message, name, value)
        if fate.channel is not None:
            store_messages.wake(session, fate.channel)

    def _has_left(self, message: Message) -> bool:
        """Whether somebody who heard of a record as more than its holder does so no more: what waited for hours (quiet
        hours, an outage) is not told to those who have left since."""
        since = message.history[0]["at"]
        if message.record_id is None or not rules_delivery.is_asked_again(message.role, message.occasion, since, now()):
            return False
        people = self.dossier.people_of(_context(message), record_id=message.record_id)
        return rules_delivery.has_left(people, message.recipient_id)

    # --- where somebody is --------------------------------------------------------------------------------------------

    def _reached(self, message: Message) -> Reached | None:
        """Where a message goes now; None for one whose code or link is over."""
        if message.recipient_kind == "challenge":
            context = _context(message)
            return self._reached_by_code(self.identity.one_time_code(context, challenge_id=message.recipient_id))
        if message.recipient_kind == "notice":
            notice_id, place = rules.place_in_notice(message.recipient_id)
            notice = self.identity.account_notice(_context(message), notice_id=notice_id)
            return self._reached_by_notice(notice, place)
        known = self._contacts_of_person(message.recipient_kind, message.recipient_id, message.request_id)
        return Reached(known["contacts"], known["language"])

    def _reached_by_code(self, told: dict[str, Any]) -> Reached | None:
        """told: identity's answer about a one-time code."""
        if told.get("spent"):
            return None
        values = {"code": told["code"], "minutes": str(rules.ONE_TIME_CODE_MINUTES)}
        return Reached([{"kind": told["kind"], "value": told["address"]}], told["language"], values)

    def _reached_by_notice(self, notice: dict[str, Any], place: int) -> Reached | None:
        """notice: identity's answer about a notice to an account; place: of one of its recipients."""
        if notice.get("spent") or place >= len(notice["recipients"]):
            return None
        language = rules.language_of(notice["language"])
        values = _times(datetime.fromisoformat(notice["values"]["at"]), language)
        if "reset" in notice["values"]:
            values |= {
                "link": rules.reset_link(self.outside.portal, notice["values"]["reset"]),
                "minutes": str(rules.RESET_LINK_MINUTES),
            }
        return Reached([notice["recipients"][place]], language, values)


def _times(at: datetime, language: str) -> dict[str, str]:
    return {"date": date_text(at, language), "time": time_text(at, language)}


def _context(message: Message) -> Context:
    return fresh_context(message.request_id)


def _told_of(message: Message, failure: Exception) -> dict[str, Any]:
    return {
        "object_id": message.message_id, "request_id": message.request_id, "attempts": message.attempts + 1,
        "kind": type(failure).__name__,
    }  # fmt: skip
