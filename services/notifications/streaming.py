"""Who holds a stream of news open, and what they are told: asked of the database when it rings for them.

The bell (LISTEN) says for whom there is something, never what: that is asked then, once for all streams of one person,
under the same conditions as their inbox. A stream ends with its owner's token, within moments of their session's end,
and when the database cannot be asked about sessions for long: who is not known to be let in is not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

from services.audit.contract import traced
from services.bus import emit
from services.db import Sessions, now, rfc3339
from services.notifications import rules_inbox, store_inbox, store_stream
from services.notifications.contract_inbox import STREAM_COOKIE
from services.notifications.ports.event_stream import BEAT, Asked, Line, Refused, event
from services.notifications.rules_inbox import TOLD_AT_ONCE, News, Owner
from services.refusals import SessionEnded, Unauthenticated
from services.tokens import Caller, Context, Verifier

AT_ONCE = 4  # questions to the database at the same time
BEAT_EVERY = 15.0  # seconds
LOOK_EVERY = 2.0
BLIND_FOR = 30.0
AGAIN_AFTER = 1.0
STREAMS_OF_ONE = 20  # of one session: tabs of a browser

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(eq=False)
class Stream:
    """One reader of one owner's news, and how far they have been told.

    place: whatever was told by this or a later transaction is news to them. told: but for these, each with its own.
    """

    line: Line
    owner: Owner
    session_id: str
    until: float
    place: int
    told: dict[str, int] = field(default_factory=dict)

    def tell(self, news: News) -> None:
        """Sends what is new to this reader; the place comes last, so that what was cut off is told again."""
        place = self.place
        new = [one for one in news.notices if one["told_in"] >= place and one["notification_id"] not in self.told]
        words = [event("notification", {name: one[name] for name in _TOLD}) for one in new]
        self.told |= {one["notification_id"]: one["told_in"] for one in new}
        self.told = {told: told_in for told, told_in in self.told.items() if told_in >= news.place}
        self.place = news.place
        self.line.write("".join([*words, event("unread", {"unread": news.unread}, str(news.place))]))


_TOLD = ("notification_id", "occasion", "record_id", "object_type", "object_id", "happened_at")


@dataclass(eq=False)
class Group:
    """All streams of one owner. rung: there may be something they were not told."""

    owner: Owner
    keys: frozenset[tuple[str, str]]
    streams: set[Stream] = field(default_factory=set)
    rung: bool = False
    teller: asyncio.Task[None] | None = None


@dataclass(frozen=True)
class Admitted:
    """Somebody who was let in; keys: under which names the bell rings for them.

    place, told: where their inbox stood then, as a Stream has it: whatever comes after is told.
    """

    caller: Caller
    owner: Owner
    keys: frozenset[tuple[str, str]]
    place: int
    told: dict[str, int]


class Streams:
    """All streams of this process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._verifier = Verifier(lambda kid: store_stream.signing_key(sessions, kid))
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stream")
        self._groups: dict[str, Group] = {}
        self._heard_by: dict[tuple[str, str], set[Group]] = {}
        self._seen = time.monotonic()

    # --- letting in ---------------------------------------------------------------------------------------------------

    async def open(self, asked: Asked, line: Line) -> None:
        """Lets a reader in who shows a token, or a ticket in its cookie.

        Raises Refused: unauthenticated, session_ended, insufficient_scope for software, too_many_requests, unavailable.
        """
        admitted = await self._ask(lambda: self._admit(asked))
        name = admitted.owner.name
        group = self._groups.get(name) or self._groups.setdefault(name, Group(admitted.owner, admitted.keys))
        session_id = admitted.caller.session_id
        if sum(one.session_id == session_id for one in group.streams) >= STREAMS_OF_ONE:
            raise Refused(429, "too_many_requests", Retry_After="5")
        until, place = float(admitted.caller.expires_at), _left_off(asked)
        if place is None:
            stream = Stream(line, group.owner, session_id, until, admitted.place, admitted.told)
        else:
            stream = Stream(line, group.owner, session_id, until, place)
        group.streams.add(stream)
        for key in group.keys:
            self._heard_by.setdefault(key, set()).add(group)
        line.on_end = lambda: self._leave(group, stream)
        asyncio.get_running_loop().call_soon(self._ring, group)  # once the answer has begun

    def _admit(self, asked: Asked) -> Admitted:
        context = Context(
            request_id=asked.request_id, traceparent=f"00-{asked.request_id.replace('-', '')}-{'1' * 16}-00",
            deadline=time.time() + 5.0, address=asked.address,
        )  # fmt: skip
        try:
            caller = self._caller(asked, context)
            if caller.client_id is not None:
                raise Refused(403, "insufficient_scope")
            owner = rules_inbox.owner(
                caller.capacity, caller.account_id, caller.patient_id, caller.professional_id
            )  # fmt: skip
            with self._sessions.transaction(caller) as session:
                emit(session, traced(caller, "stream.opened", at=now()))
                others = store_inbox.readers_of_same_person(session, owner.patient_id) if owner.patient_id else []
                place = store_inbox.present_place(session)
                # What an older transaction holds the place back from is in the inbox already, and no news.
                there = store_inbox.told_since(session, owner, place, TOLD_AT_ONCE) if _left_off(asked) is None else []
        except (Unauthenticated, SessionEnded) as refused:
            raise Refused(401, refused.code, WWW_Authenticate="Bearer") from refused
        keys = {owner.reader, ("account", owner.account_id), *(("patient", each) for each in others)}
        return Admitted(caller, owner, frozenset(keys), place, {row["message_id"]: row["told_in"] for row in there})

    def _caller(self, asked: Asked, context: Context) -> Caller:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        if token:
            if kind.lower() != "bearer":
                raise Unauthenticated()
            return self._verifier.caller(Context(**{**context.__dict__, "token": token.strip()}))
        ticket = asked.cookies.get(STREAM_COOKIE)
        if not ticket:
            raise Unauthenticated()
        with self._sessions.transaction() as session:
            row = store_stream.ticket(session, sha256(ticket.encode()).digest(), now())
        if row is None:
            raise Unauthenticated()
        return Caller(
            account_id=row.account_id, session_id=row.session_id, capacity=row.capacity, patient_id=row.patient_id,
            professional_id=row.professional_id, profession=row.profession, establishment_id=row.establishment_id,
            role=row.role, expires_at=int(row.expires_at.timestamp()), context=context,
        )  # fmt: skip

    def _leave(self, group: Group, stream: Stream) -> None:
        group.streams.discard(stream)
        if group.streams:
            return
        for key in group.keys:
            heard = self._heard_by.get(key, set())
            heard.discard(group)
            if not heard:
                self._heard_by.pop(key, None)
        if self._groups.get(group.owner.name) is group:
            del self._groups[group.owner.name]

    # --- telling ------------------------------------------------------------------------------------------------------

    def ring(self, whom: Iterable[tuple[str, str]] | None) -> None:
        """Has those told for whom the bell rang; None: everybody, for nobody knows what was missed."""
        if whom is None:
            groups = set(self._groups.values())
        else:
            groups = {group for key in set(whom) for group in self._heard_by.get(key, ())}
        for group in groups:
            self._ring(group)

    def _ring(self, group: Group) -> None:
        group.rung = True
        if group.teller is None:
            group.teller = asyncio.get_running_loop().create_task(self._tell(group))

    async def _tell(self, group: Group) -> None:
        """Tells one owner's streams, as often as it rang; what rings meanwhile is told in one."""
        try:
            while group.rung and group.streams:
                group.rung = False
                streams = list(group.streams)
                since = min(stream.place for stream in streams)
                try:
                    news = await self._ask(lambda since=since: self._news(group.owner, since))  # type: ignore[misc]
                except Refused:
                    group.rung = True
                    await asyncio.sleep(AGAIN_AFTER)
                    continue
                for stream in streams:
                    stream.tell(news)
        finally:
            group.teller = None

    def _news(self, owner: Owner, since: int) -> News:
        with self._sessions.transaction() as session:
            place = store_inbox.present_place(session)  # before the rest: whatever commits meanwhile is told again
            unread = store_inbox.count_unread(session, owner)
            rows = store_inbox.told_since(session, owner, since, TOLD_AT_ONCE)
        return News(unread, place, tuple(_notice(row) for row in rows))

    # --- watching -----------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Ends the streams whose session or token has ended; all of them where that cannot be asked for long."""
        open_now = [stream for group in self._groups.values() for stream in group.streams]
        try:
            ended = await self._ask(lambda: self._ended({stream.session_id for stream in open_now}))
            self._seen = time.monotonic()
        except Refused:
            ended = set()
        blind, present = time.monotonic() - self._seen > BLIND_FOR, time.time()
        for stream in open_now:
            if blind or stream.until <= present or stream.session_id in ended:
                stream.line.close()

    def _ended(self, session_ids: set[str]) -> set[str]:
        with self._sessions.transaction() as session:
            return store_inbox.ended_among(session, session_ids) if session_ids else set()

    def beat(self) -> None:
        """A word to everybody, which says nothing."""
        for group in list(self._groups.values()):
            for stream in list(group.streams):
                stream.line.write(BEAT)

    def end(self) -> None:
        """Hangs up on everybody; they come back to whoever is there then."""
        for group in list(self._groups.values()):
            for stream in list(group.streams):
                stream.line.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """An answer of the database, which is waited for elsewhere. Raises Refused where it gives none."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, question)
        except Refused:
            raise
        except Exception as broken:  # whatever the database says: the reader comes back
            log.warning("stream waits", exc_info=broken, extra={"kind": type(broken).__name__})
            raise Refused(503, "unavailable", Retry_After="5") from broken


def _left_off(asked: Asked) -> int | None:
    """Where the reader says they were; None for who comes anew."""
    return rules_inbox.place_in_stream(asked.headers.get("last-event-id") or asked.query.get("last_event_id"))


def _notice(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "notification_id": row["message_id"], "occasion": row["occasion"], "record_id": row["record_id"],
        "object_type": row["object_type"], "object_id": row["object_id"], "happened_at": rfc3339(row["happened_at"]),
        "told_in": row["told_in"],
    }  # fmt: skip
