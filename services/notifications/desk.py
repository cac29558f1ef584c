"""What every entrypoint of this service has at hand: the services it may ask, and its ways outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.bus import Service
from services.notifications.ports.mail import Mailer
from services.notifications.ports.press import Press
from services.notifications.ports.sms import Sms, sms_of
from services.notifications.ports.subscriber_broker import SubscriberBroker
from services.settings import Settings


@dataclass(frozen=True)
class Outside:
    """The outside world of this service; sms: None where no provider is set."""

    mailer: Mailer
    sms: Sms | None
    letters: Press
    subscribers: SubscriberBroker
    settings: Settings

    @property
    def portal(self) -> str:
        """Where people are sent: the portal, or the gateway's own pages where there is none."""
        return self.settings.portal_url or self.settings.public_url

    @staticmethod
    def of(settings: Settings) -> Outside:
        """The ports these settings lead to; nothing is connected yet."""
        return Outside(
            Mailer(settings), sms_of(settings), Press(settings.letters_folder), SubscriberBroker(settings), settings
        )


class Desk(Service):
    """What the service class brings for all of them."""

    identity: Any
    dossier: Any
    directory: Any
    outside: Outside
