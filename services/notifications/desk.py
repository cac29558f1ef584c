"""What every entrypoint of this service has at hand: the services it may ask, and its ways outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.bus import Service
from services.notifications import rules_settings
from services.notifications.ports.letter_folder import LetterFolder
from services.notifications.ports.mail import Mailer
from services.notifications.ports.outward import Outward
from services.notifications.ports.press import Press
from services.notifications.ports.push import Push, push_of
from services.notifications.ports.signing import Signer
from services.notifications.ports.sms import Sms, sms_of
from services.notifications.ports.subscriber_broker import SubscriberBroker
from services.notifications.ports.webhook import Webhooks
from services.settings import Settings
from services.tokens import Caller


@dataclass(frozen=True)
class Outside:
    """The outside world of this service; sms: None where no provider is set; push: None without a key for it."""

    mailer: Mailer
    sms: Sms | None
    letters: Press
    folder: LetterFolder
    subscribers: SubscriberBroker
    webhooks: Webhooks
    settings: Settings
    push: Push | None = None

    @property
    def portal(self) -> str:
        """Where people are sent: the portal, or the gateway's own pages where there is none."""
        return self.settings.portal_url or self.settings.public_url

    @staticmethod
    def of(settings: Settings) -> Outside:
        """The ports these settings lead to; nothing is connected yet."""
        outward = Outward(settings)
        return Outside(
            Mailer(settings), sms_of(settings), Press(settings.letters_folder),
            LetterFolder(settings.letters_folder), SubscriberBroker(settings),
            Webhooks(settings, outward, Signer(settings.webhook_key)), settings, push_of(settings, outward),
        )  # fmt: skip


class Desk(Service):
    """What the service class brings for all of them."""

    identity: Any
    dossier: Any
    directory: Any
    outside: Outside


def person_of(caller: Caller) -> tuple[str, str]:
    """Who somebody is to this service in the capacity they logged in with: kind and id."""
    return rules_settings.person_of(caller.capacity, caller.account_id, caller.patient_id, caller.professional_id)
