"""What people wish to hear of, on which way, and when: each for themselves, in the capacity they log in with."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import notification_settings as shapes

notification_settings = APIBlueprint("notification_settings", __name__, url_prefix="/notifications")


@operation(
    notification_settings, "GET", "/settings", summary="Read the settings of one's notices",
    answer=shapes.NotificationSettings, tagged=True,
)  # fmt: skip
def read_notification_settings() -> Any:
    """Every occasion that this capacity hears of, how it is told now, and which of them are fixed and why."""
    return ask("notifications", "notification_settings")


@operation(
    notification_settings, "PUT", "/settings", summary="Change the settings of one's notices",
    answer=shapes.NotificationSettings, body=shapes.NotificationSettingsWanted, once=True, conditional=True,
    tagged=True, refuses=("notice_fixed",),
)  # fmt: skip
def change_notification_settings(version: int | None, body: dict[str, Any]) -> Any:
    """Replaces them all. Representatives and assistants set their own. What waits for a digest goes with the next."""
    return ask("notifications", "change_notification_settings", version=version, **body)
