"""What somebody is told stands in their inbox and on the page they have open, on the whole platform."""

from __future__ import annotations

import requests

from deploy.visitors import Visitor, wait_for
from tests.services.stream_process import Follower
from tests.system.conftest import Village


def page_of(village: Village, who: Visitor) -> Follower:
    """A page of the portal that is open: a browser that gets its ticket and follows, both by the gateway's address."""
    address = f"{village.platform.stack.layout.public_url}/api/v1/notifications"
    browser = requests.Session()
    token = {"Authorization": f"Bearer {who.tokens['access_token']}"}
    made = browser.post(f"{address}/stream-tickets", headers=token, timeout=30)
    assert made.status_code == 201 and set(made.json()) == {"expires_at"}
    cookie = made.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/api/v1/notifications/stream" in cookie
    page = Follower(f"{address}/stream", {"Origin": village.platform.stack.layout.public_url}, browser)
    assert page.status == 200 and page.waits_for(unread=len(inbox(who, unread_only="true")))
    return page


def inbox(who: Visitor, **query: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = who.ask("GET", "/notifications", params=query)["notifications"]
    return found


def test_news_stands_in_the_inbox_and_comes_to_the_page_that_is_open_and_to_nobody_elses(village: Village) -> None:
    patient, other = village.patient(), village.patient()
    doctor = village.professional("doctor who is new")
    mine, theirs = page_of(village, patient), page_of(village, other)
    before = patient.ask("GET", "/notifications/unread-count")["unread"]
    village.mandate(doctor, patient)
    assert wait_for(lambda: mine.told or None, "the news on the page")
    told = wait_for(
        lambda: next((one for one in inbox(patient) if one["occasion"] == "record_first_accessed_by"), None),
        "the news in the inbox",
    )
    assert told["record_id"] == patient.ids["record_id"] and told["title"] and told["read_at"] is None
    assert told["notification_id"] in mine.told
    assert not [datum for datum in (doctor.name, doctor.matricule, patient.matricule) if datum in str(told)]
    assert told["notification_id"] not in theirs.told
    assert patient.ask("GET", "/notifications/unread-count")["unread"] > before
    other.ask("POST", f"/notifications/{told['notification_id']}/read", expect=404)
    patient.ask("POST", "/notifications/read", json={"up_to": told["notification_id"]})
    assert told["notification_id"] not in [one["notification_id"] for one in inbox(patient, unread_only="true")]
    patient.ask("DELETE", "/sessions/current", expect=(200, 204))
    assert wait_for(lambda: mine.over or None, "the end of the stream with its session")
    assert not theirs.over
    theirs.leave()


def test_without_a_token_there_is_no_stream_and_no_inbox(village: Village) -> None:
    address = f"{village.platform.stack.layout.public_url}/api/v1/notifications"
    assert Follower(f"{address}/stream", {}).status == 401
    assert requests.get(address, timeout=30).status_code == 401
    assert requests.post(f"{address}/stream-tickets", timeout=30).status_code == 401
