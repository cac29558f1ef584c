"""The database of a service: transactions, the plumbing tables each service keeps, and once-only requests.

Every service has a database of its own with its own role. Beside its tables stand five of the plumbing: outbox and
inbox (bus.py works them), the public signing keys and ended sessions that identity announces, and the requests
already answered under an Idempotency-Key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from nameko.extensions import DependencyProvider
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from services.plans import listen_for_plans, planned_once
from services.refusals import KeyReused, RequestInFlight, SessionEnded
from services.settings import load
from services.tokens import Caller, Context
from services.words import BEGIN, EMITTED, LAST_WORDS, ONE_WORD, ONLY_READS, UNSAID, commit, listen_for_words, say_last

POOL = 12  # a little more than nameko's ten workers: the inbox works beside them
REQUEST_KEPT = timedelta(hours=24)
HERE = ZoneInfo("Europe/Luxembourg")  # whose calendar the days that people write are of

plumbing = sa.MetaData()

outbox = sa.Table(
    "outbox", plumbing,
    sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("event_id", sa.Uuid(as_uuid=False), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),
    sa.Column("bundled", sa.Boolean, nullable=False, server_default=sa.false()),
)  # fmt: skip

subjects = sa.Table(
    "outbox_subjects", plumbing,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)  # fmt: skip

inbox = sa.Table(
    "inbox", plumbing,
    sa.Column("event_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="due"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("cause", sa.Text),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("state in ('due', 'done', 'parked')", name="ck_inbox_state"),
)  # fmt: skip
sa.Index("ix_inbox_due", inbox.c.due_at, inbox.c.seq, postgresql_where=inbox.c.state == "due")
sa.Index("ix_inbox_parked", inbox.c.seq, postgresql_where=inbox.c.state == "parked")

signing_keys = sa.Table(
    "signing_keys", plumbing,
    sa.Column("kid", sa.Text, primary_key=True),
    sa.Column("jwk", sa.JSON, nullable=False),
    sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
    sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

ended_sessions = sa.Table(
    "ended_sessions", plumbing,
    sa.Column("session_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
)  # fmt: skip

requests = sa.Table(
    "requests", plumbing,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("response", sa.JSON, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)  # fmt: skip
sa.Index("ix_requests_created_at", requests.c.created_at)


def now() -> datetime:
    """The present moment in UTC; rules get it as an argument."""
    return datetime.now(UTC)


def day_of(moment: datetime) -> date:
    """The day a moment lies in by the calendar of Luxembourg: just after midnight UTC still says yesterday."""
    return moment.astimezone(HERE).date()


def rfc3339(moment: datetime) -> str:
    """A moment as it stands on every wire: RFC 3339, UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """A new UUIDv7 as text."""
    return str(uuid7())


def make_engine(url: str, **options: Any) -> sa.Engine:
    """An engine that never puts parameters into its errors: those are logged, and parameters are people's data."""
    options.setdefault("pool_size", POOL)
    options.setdefault("max_overflow", 4)
    options.setdefault("pool_timeout", 4)
    options.setdefault("pool_use_lifo", True)
    told = {"connect_timeout": 3, "options": "-c plan_cache_mode=force_generic_plan"}
    return sa.create_engine(url, hide_parameters=True, connect_args=told, **options)


_LOOK = "select require_session('{session_id}')"
_SESSION_ENDED = "DS001"  # what require_session raises
_ROLLBACK = sa.text("rollback")
_OVER = "over"


class Sessions:
    """Transactions of one database; the driver is left in autocommit, begin and commit are said here."""

    def __init__(self, url: str, speaks_for: str | None = None) -> None:
        """speaks_for: the service whose events are emitted here, where the process has another name."""
        self.engine = make_engine(url, isolation_level="AUTOCOMMIT")
        listen_for_plans(self.engine)
        listen_for_words(self.engine)
        self._make = sessionmaker(self.engine, expire_on_commit=False, info={"speaks_for": speaks_for})

    @contextmanager
    def transaction(self, *who: Caller | Context | None) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        A caller's session is asked for before anything else, inside the transaction, so that all replicas agree on
        its end.
        who: the one whose request this is; where there are several, `speak_for` says what is whose.
        Refuses: SessionEnded, where one of theirs has.
        """
        with self._make() as session:
            speak_for(session, *who[:1])
            session.info[EMITTED] = []
            session.info[LAST_WORDS] = {}
            session.connection().info[UNSAID] = [BEGIN, *dict.fromkeys(look for each in who for look in _look(each))]
            try:
                yield session
                if not session.info.get(_OVER):
                    session.flush()
                    commit(session)
            except BaseException as broken:
                _roll_back(session)
                _raise_if_ended(broken)
                raise

    @contextmanager
    def reading(self, who: Caller | Context | None = None) -> Iterator[Session]:
        """Questions alone: each sees what is committed when it is asked, as in a transaction, in one word and no more.

        A caller's session is asked for with the first of them. Nothing is locked, written or emitted here.
        Refuses: SessionEnded.
        """
        with self._announced(who, ONLY_READS) as session:
            yield session
            if session.connection().info.get(UNSAID):
                begun(session)

    @contextmanager
    def one_word(self, who: Caller | Context | None = None) -> Iterator[Session]:
        """A transaction of one word: it stands when that word is answered. A second one is a TypeError.

        A caller's session is asked for in that word.
        Refuses: SessionEnded.
        """
        with self._announced(who, ONE_WORD) as session:
            yield session

    @contextmanager
    def _announced(self, who: Caller | Context | None, what: str) -> Iterator[Session]:
        """A session that neither begins nor commits, and whose connection keeps it to what was announced of it."""
        with self._make() as session:
            speak_for(session, who)
            told = session.connection().info
            told |= {what: "due", UNSAID: [*_look(who)]}
            try:
                yield session
            except BaseException as broken:
                _raise_if_ended(broken)
                raise
            finally:
                told.pop(what, None)
                told.pop(UNSAID, None)


def _look(who: Caller | Context | None) -> Iterator[str]:
    """What asks for a caller's session; nothing of those who have none."""
    if isinstance(who, Caller):
        yield _LOOK.format(session_id=UUID(who.session_id))


def speak_for(session: Session, who: Caller | Context | None = None) -> None:
    """Has what is emitted from here on belong to this request."""
    session.info["context"] = who.context if who is not None else None


def _raise_if_ended(broken: BaseException) -> None:
    if getattr(getattr(broken, "orig", broken), "pgcode", None) == _SESSION_ENDED:
        raise SessionEnded() from broken


def begun(session: Session) -> sa.Connection:
    """The connection of a transaction that has begun, for what is said to the driver itself."""
    connection = session.connection()
    if connection.info.get(UNSAID):
        connection.exec_driver_sql("select")
    return connection


def hold(session: Session, what: str) -> None:
    """Has the next statement wait until nobody holds this any more; from then on this transaction holds it, to its end.

    What the statement sees was committed before. Unlike a row that is held it costs the disk nothing, so that who looks
    and writes nothing need not wait for it. what: said alike by all who hold it, in one service.
    """
    key, told = int.from_bytes(sha256(what.encode()).digest()[:8], "big", signed=True), session.connection().info
    if ONLY_READS in told:
        raise TypeError("this was to read only")
    told.setdefault(UNSAID, []).append(f"select pg_advisory_xact_lock({key})")


def _roll_back(session: Session) -> None:
    if session.info.get(_OVER):
        return
    try:
        if BEGIN not in session.connection().info.pop(UNSAID, ()):  # else there is nothing to take back
            session.execute(_ROLLBACK)
    except Exception:
        session.invalidate()  # a connection that cannot even be told so is thrown away, and with it what it began


class Savepoint:
    """A part of a transaction that can be undone by itself, with the events it emitted and what it says last."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._emitted = len(session.info[EMITTED])
        self._last_words = dict(session.info[LAST_WORDS])
        self._nested = session.begin_nested()

    def keep(self) -> None:
        """Makes the part one with the rest."""
        self._nested.commit()

    def commit(self) -> None:
        """Ends the transaction with it, in one word with what was to be said last: for who would know what that comes
        to, and undo the part where it fails."""
        self._session.flush()
        commit(self._session)
        self._nested.commit()
        self._session.connection().info.pop(UNSAID)  # there is nothing left to be released
        self._session.info[_OVER] = True

    def undo(self) -> None:
        """As if the part had never been."""
        self._nested.rollback()
        del self._session.info[EMITTED][self._emitted :]
        self._session.info[LAST_WORDS] = self._last_words


class Database(DependencyProvider):  # type: ignore[misc]
    """Gives each worker of a service the transactions of the service's own database."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self.sessions: Sessions | None = None

    def setup(self) -> None:
        self.sessions = Sessions(self._url or load().database_url)

    def stop(self) -> None:
        if self.sessions is not None:
            self.sessions.engine.dispose()

    def get_dependency(self, worker_ctx: Any) -> Sessions:
        assert self.sessions is not None
        return self.sessions


def _digest(body: Any) -> bytes:
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()


def _place(who: Caller | Context, key: str, digest: bytes) -> tuple[str, str]:
    """Whose requests these are, and the key among them.

    Strangers share one place, and two of them may choose the same key without knowing of each other. So a stranger's
    key is held together with the digest of the body: another body under the same key is simply another request, and
    an answer is repeated only to whoever asks the very same again.
    """
    return (who.acts_as, key) if isinstance(who, Caller) else ("public", f"{key} {digest.hex()}")


# In one word, and yet the second question sees what was kept until the lock was there.
_CLAIMED = planned_once(
    sa.text("""
        select set_config('opendsp.claimed', cast(pg_try_advisory_xact_lock(:lock) as text), true);
        select cast(current_setting('opendsp.claimed') as boolean) as claimed, kept.digest, kept.response
          from (values (1)) as asked left join requests as kept
            on kept.account_id = :account and kept.operation = :operation and kept.key = :key
           and kept.created_at > :since
    """).columns(sa.column("claimed", sa.Boolean), requests.c.digest, requests.c.response)
)


def once(session: Session, who: Caller | Context, operation: str, body: Any) -> Any | None:
    """The answer already given to this Idempotency-Key, or None when the work is still to be done (and now claimed).

    Refuses: RequestInFlight while another transaction holds the key, KeyReused when the body differs (a caller's; to
    a stranger's key the body belongs).
    """
    if who.context.idempotency_key is None:
        return None
    digest = _digest(body)
    account, key = _place(who, who.context.idempotency_key, digest)
    lock = int.from_bytes(sha256(f"{account}|{operation}|{key}".encode()).digest()[:8], "big", signed=True)
    asked = {"lock": lock, "account": account, "operation": operation, "key": key, "since": now() - REQUEST_KEPT}
    row = session.execute(_CLAIMED, asked).one()
    if not row.claimed:
        raise RequestInFlight()
    if row.digest is None:
        return None
    if bytes(row.digest) != digest:
        raise KeyReused()
    return row.response


_REMEMBER = """
    insert into requests (account_id, operation, key, digest, response, created_at)
    values (:asked_by, :asked_for, :asked_under, :asked_digest, cast(:answered as json), :answered_at)
    on conflict (account_id, operation, key) do update
       set digest = excluded.digest, response = excluded.response, created_at = excluded.created_at
"""


def remember(session: Session, who: Caller | Context, operation: str, body: Any, response: Any) -> Any:
    """Keeps the answer under the request's Idempotency-Key, in the change's own transaction; hands it back."""
    if who.context.idempotency_key is not None:
        digest = _digest(body)
        account, key = _place(who, who.context.idempotency_key, digest)
        say_last(
            session, _REMEMBER, asked_by=account, asked_for=operation, asked_under=key, asked_digest=digest,
            answered=json.dumps(response), answered_at=now(),
        )  # fmt: skip
    return response


def forget_requests(session: Session) -> None:
    """Drops the answers whose day is over."""
    session.execute(sa.delete(requests).where(requests.c.created_at < now() - REQUEST_KEPT))


def run_migrations(metadata: sa.MetaData) -> None:
    """What each service's migrations/env.py does: bring the connected database to the newest revision."""
    from alembic import context

    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def migrate(service: str, url: str | None = None, revision: str = "head") -> None:
    """Brings a service's database to `revision`; several processes may call it at once, one works.

    service: the folder under services/ whose migrations run. url: the database, the settings' own when None.
    """
    from importlib.resources import files

    from alembic import command
    from alembic.config import Config

    engine = sa.create_engine(url or load().database_url, poolclass=sa.NullPool, hide_parameters=True)
    config = Config()
    config.set_main_option("script_location", str(files(f"services.{service}").joinpath("migrations")))
    with engine.connect() as connection:
        connection.execute(sa.text("select pg_advisory_lock(hashtext('migrate'))"))
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "migrate":
        sys.exit("usage: python -m services.db migrate SERVICE")
    migrate(sys.argv[2])
