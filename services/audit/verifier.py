#!/usr/bin/env python3
"""Checks what OpenDSP exports of its log of accesses: this one file, offline, with nothing but Python 3.9 or newer.

    python3 verifier.py history.jsonl --key KEY              a history: is it genuine, whole and unchanged?
    python3 verifier.py log.jsonl --witness heads.jsonl      the log: was anything in it ever bent?
    python3 verifier.py heads.jsonl --key KEY                the witness file alone

KEY is the platform's public key in base64, got by another way than the file that is checked. Every line of an export
is hashed as it stands, never written anew: open a copy in an editor, check the original. The log is a Merkle tree
[RFC 9162 2.1], its heads are signed with Ed25519 [RFC 8032].

Ends with 0: genuine. 1: not genuine, and what is wrong with it. 2: nothing that can be checked.
3: in order as far as it goes, but nobody vouches for its key: give --key or --witness.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from base64 import b64decode
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256, sha512
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

HISTORY, LOG = "opendsp-history/1", "opendsp-log/1"
LATE = timedelta(seconds=60)  # a transaction may be open so long between taking its time and being there
LAG = 60.0  # seconds: what was signed just before an export may not be in the database yet
KEPT = (8, 16, 24, 32, 40)  # the levels whose nodes the platform keeps
MOST_SHOWN = 20
BLOCK = 1 << 18
# Lines as they are read: behind the zero of a leaf. An entry's begin with an id and two times, each of one length.
UNTIL = b'\0{"until":'
V = ord("v")  # of an entry's line the third letter, of no other
RECEIVED, BEFORE_TIME = slice(91, 135), b'","received_at":"'
ACTION = slice(147, 197)  # it is in there, where the source is one of those whose actions are looked at
HIDING = {
    "document.blocked": ("blocked", True), "document.released": ("blocked", False),
    "document.withheld": ("withheld", True), "document.unwithheld": ("withheld", False),
}  # fmt: skip
MARKED = (b'.destroyed"', b'.blocked"', b'.released"', b'withheld"')  # ends of the actions that are looked at closer


class Unreadable(Exception):
    """Nothing that this program can check; says why."""


# --- Ed25519 [RFC 8032] ---------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)  # points in extended coordinates [5.1.4]


def add(one: Any, other: Any) -> Any:
    """The sum of two points; the formula is complete, so it doubles too [5.1.4]."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def decode(text: bytes) -> Any:
    """The point that 32 bytes stand for; ValueError when they stand for none [5.1.3]."""
    number = int.from_bytes(text, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if len(text) != 32 or y >= P:
        raise ValueError("no point")
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if v * x * x % P == P - u and u:
        x = x * ROOT_OF_MINUS_1 % P
    if v * x * x % P != u or (not x and sign):
        raise ValueError("no point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode(bytes.fromhex("58" + "66" * 31))


def combined(terms: Sequence[tuple[int, Any]]) -> Any:
    """The sum of points, each so many times (by buckets, one digit of all numbers at a time)."""
    width = 2 if len(terms) < 8 else max(4, len(terms).bit_length() - 4)
    longest = max(times.bit_length() for times, _ in terms)
    total = NEUTRAL
    for shift in range((longest // width) * width, -1, -width):
        for _ in range(width):
            total = add(total, total)
        buckets: list[Any] = [None] * (1 << width)
        for times, point in terms:
            digit = times >> shift & ((1 << width) - 1)
            if digit:
                buckets[digit] = point if buckets[digit] is None else add(buckets[digit], point)
        running = None
        for bucket in buckets[:0:-1]:
            if bucket is not None:
                running = bucket if running is None else add(running, bucket)
            if running is not None:
                total = add(total, running)
    return total


def all_signed(public: bytes, signed: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether each text has this key's signature: all in one equation, each under a random factor [5.1.7].

    The equation is the one with the cofactor, so that one signature and many are judged alike.
    """
    try:
        key, terms, of_base, of_key = decode(public), [], 0, 0
        for text, signature in signed:
            r, s = signature[:32], int.from_bytes(signature[32:], "little")
            if len(signature) != 64 or s >= L:
                return False
            factor = secrets.randbits(128) | 1
            of_base += factor * s
            of_key += factor * int.from_bytes(sha512(r + public + text).digest(), "little")
            terms.append((factor, decode(r)))
    except ValueError:
        return False
    point = combined([*terms, (of_key % L, key), (-of_base % L, BASE)])
    for _ in range(3):
        point = add(point, point)
    return bool(point[0] % P == 0 and (point[1] - point[2]) % P == 0)


# --- the tree [RFC 9162 2.1] ----------------------------------------------------------------------------------------


class Tree:
    """The left edge of a growing tree: of each level at most one whole subtree that is part of no bigger one."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = (), keep: bool = False) -> None:
        """peaks: of a tree of that size, the biggest first. keep: remember the nodes of the kept levels."""
        levels = [level for level in range(62, -1, -1) if size >> level & 1]  # zip: Python 3.9 knows no `strict`
        if len(levels) != len(peaks) or any(len(peak) != 32 for peak in peaks):
            raise Unreadable("its frontier is not that of a log of its size")
        self.size, self.keep = size, keep
        self.nodes: dict[tuple[int, int], bytes] = {}
        self._edge: list[bytes | None] = [None] * 64
        for level, peak in zip(levels, peaks):  # noqa: B905
            self._edge[level] = peak

    def extend(self, row: list[bytes]) -> None:
        """Appends leaves."""
        edge, level, number = self._edge, 0, self.size
        self.size += len(row)
        while row:
            if self.keep and level in KEPT:
                self.nodes.update({(level, number + at): node for at, node in enumerate(row)})
            left = edge[level]
            if left is not None:
                row = [left, *row]
            edge[level] = row[-1] if len(row) & 1 else None  # an odd one at the end is in no pair
            pairs = iter(row)
            row = [sha256(b"\1" + one + other).digest() for one, other in zip(pairs, pairs)]  # noqa: B905
            level, number = level + 1, number >> 1

    def walk(self, lines: Iterable[bytes]) -> list[bytes]:
        """Goes along a history: entries, and lines that lead to a position by the largest whole subtrees of what is not
        shown; returns the leaves of the entries."""
        edge, size, leaves = self._edge, self.size, []
        for line in lines:
            if line[3] != V:
                steps, size = _skipped(line, size)
            else:
                leaf = sha256(line).digest()
                leaves.append(leaf)
                steps, size = [(0, leaf)], size + 1
            for level, node in steps:
                left = edge[level]
                while left is not None:
                    node = sha256(b"\1" + left + node).digest()
                    edge[level] = None
                    level += 1
                    left = edge[level]
                edge[level] = node
        self.size = size
        return leaves

    def root(self) -> bytes:
        """The hash over everything so far."""
        made = None
        for peak in self._edge:
            if peak is not None:
                made = peak if made is None else sha256(b"\1" + peak + made).digest()
        return sha256().digest() if made is None else made


def _skipped(line: bytes, size: int) -> tuple[list[tuple[int, bytes]], int]:
    """The whole subtrees, each with its level, by which a line leads from one size to another; written in one way."""
    to, _, nodes = line[10:-2].partition(b',"nodes":"')
    until, hashes, steps, at = int(to), a2b_base64(nodes), [], 0
    while size < until:
        level, most = (size & -size).bit_length() - 1, (until - size).bit_length() - 1
        level = most if level < 0 or most < level else level
        steps.append((level, hashes[at : at + 32]))
        at, size = at + 32, size + (1 << level)
    right = at == len(hashes) and size == until and line[:10] == UNTIL and line[-2:] == b'"}'
    if not right or b2a_base64(hashes, newline=False) != nodes:
        raise ValueError("not such a line")
    return steps, size


# --- keys, heads, the witness ---------------------------------------------------------------------------------------


class Verdict:
    """What was found: `wrong` is empty for what is genuine; `told` is for the reader."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.told: list[str] = []
        self.trusted = False

    def expect(self, right: bool, wrong: str) -> bool:
        """Notes what is wrong where something is not right."""
        if not right and len(self.wrong) < 1000 and wrong not in self.wrong:
            self.wrong.append(wrong)
        return right

    @property
    def code(self) -> int:
        """What the program ends with."""
        return 1 if self.wrong else 0 if self.trusted else 3


class Keys:
    """The keys that may sign, and the signatures that are to be looked at: all together, which is faster."""

    def __init__(self, verdict: Verdict, given: Iterable[str]) -> None:
        self._verdict = verdict
        self._given = {key_id_of(public): public for public in map(_decoded_key, given)}
        self._listed: dict[str, tuple[bytes, int]] = {}
        self._signed: dict[str, list[tuple[str, bytes, bytes]]] = {}

    def name(self, keys: Iterable[Any], where: str) -> None:
        """Takes the keys that a file names. Where a witness named them before, a database must name the same."""
        for key in keys:
            public, begins = b64decode(key["public_key"]), int(key["from_size"])
            self._verdict.expect(key["key_id"] == key_id_of(public), f"{where}: a key has the name of another")
            known = self._listed.setdefault(key_id_of(public), (public, begins))
            if self._verdict.trusted:
                self._verdict.expect(known == (public, begins), f"{where}: a key is not as the witness knows it")

    def names(self) -> set[str]:
        """The names of all keys that files named."""
        return set(self._listed)

    def signs(self, what: str, key_id: str, text: str, signature: str, size: int | None = None) -> None:
        """Puts down a signature. size: of the head that it makes, since a key signs in its own time alone."""
        self._signed.setdefault(key_id, []).append((what, text.encode(), b64decode(signature)))
        begins = self._listed.get(key_id, (b"", 0))[1]
        later = [at for _, at in self._listed.values() if at > begins]
        if size is not None:
            right = begins <= size <= min(later, default=size)
            self._verdict.expect(right, f"{what}: signed with a key that was not in use then")

    def settle(self) -> None:
        """Looks at all signatures."""
        for key_id, signed in self._signed.items():
            public = self._given.get(key_id) or (None if self._given else self._listed.get(key_id, (None,))[0])
            if public is None:
                self._verdict.expect(False, f"{signed[0][0]}: signed with another key ({key_id})")
                continue
            self._verdict.told.append(f"signed with the key {key_id}")
            self._one_by_one_where_wrong(public, signed)
        self._verdict.trusted = self._verdict.trusted or bool(self._given)

    def _one_by_one_where_wrong(self, public: bytes, signed: list[tuple[str, bytes, bytes]]) -> None:
        for at in range(0, len(signed), 1024):
            part = signed[at : at + 1024]
            if not all_signed(public, [each[1:] for each in part]):
                for what, text, signature in part:
                    right = all_signed(public, [(text, signature)])
                    if not self._verdict.expect(right, f"{what}: its signature is not genuine"):
                        break


def key_id_of(public: bytes) -> str:
    """The name of a key."""
    return sha256(public).hexdigest()[:16]


def _decoded_key(text: str) -> bytes:
    try:
        public = b64decode(text, validate=True)
        decode(public)
    except ValueError:
        raise Unreadable("the key that was given is no Ed25519 public key in base64") from None
    return public


def _received_at(time: bytes) -> datetime:
    return moment(time[17:].decode())


def head_text(head: Any) -> str:
    """What is signed of a head."""
    return f"opendsp audit log\n{head['size']}\n{head['root']}\n{head['at']}\n"


def moment(text: str) -> datetime:
    """A time as all of these files write it."""
    if len(text) != 27 or text[26] != "Z":
        raise ValueError("no time")
    return datetime.fromisoformat(text[:26])


def read_witness(file: IO[bytes], keys: Keys, verdict: Verdict) -> list[Any]:
    """The heads of a witness file, in order; their signatures are put down. A last line without its end is left."""
    heads: list[Any] = []
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            break
        try:
            said = json.loads(line)
            if "key" in said:
                keys.name([said["key"]], "witness")
                continue
            heads.append(said)
            last = heads[-2] if len(heads) > 1 else said
            grown = said["size"] > last["size"] and moment(said["at"]) >= moment(last["at"])
            verdict.expect(said is last or grown, f"witness, line {number}: not after the head before it")
            size, key_id = said["size"], said["key_id"]
            keys.signs(f"head of {size} entries", key_id, head_text(said), said["signature"], size)
        except (ValueError, KeyError, TypeError):
            verdict.expect(False, f"witness, line {number}: not a head")
    return heads


# --- a log ----------------------------------------------------------------------------------------------------------


class Log:
    """A log as it is read, from its first line to its last."""

    def __init__(self, header: Any, keys: Keys, witness: list[Any] | None, lag: float, verdict: Verdict) -> None:
        self._verdict, self._keys, self._header = verdict, keys, header
        self._tree = Tree(header["first"], [b64decode(peak) for peak in header["frontier"]], keep=True)
        self._until = moment(header["at"]) - timedelta(seconds=lag)
        self._witness = None if witness is None else {head["size"]: head for head in witness}
        self._ahead = sorted(size for size in self._witness or () if size > header["first"])[::-1]
        self._latest = self._first_unsealed = b""
        self._inline: set[int] = set()
        self._destroyed: list[int] = []
        self._destructions: list[Any] = []
        self._digests: set[str] = set()
        self._hidden: list[Any] = []
        self._hiding: dict[tuple[str, str], list[tuple[datetime, bool]]] = {}
        self._sealed_until = header["first"]
        self._ended = False

    def read(self, lines: list[bytes]) -> None:
        """Goes along some lines: runs of entries, and what stands between them."""
        start = 0
        for at in [at for at, line in enumerate(lines) if line[3] != V]:
            self._entries(lines[start:at])
            self._mark(json.loads(lines[at][1:]))
            start = at + 1
        self._entries(lines[start:])
        if any(word in action for action in {line[ACTION] for line in lines} for word in MARKED):
            for line in lines:
                self._marked(line)

    def _entries(self, run: list[bytes]) -> None:
        while run:
            room = self._ahead[-1] - self._tree.size if self._ahead else len(run)
            part, run = run[:room], run[room:]
            self._received(part)
            self._leaves([sha256(line).digest() for line in part])

    def _leaves(self, hashes: list[bytes]) -> None:
        self._tree.extend(hashes)
        if self._ahead and self._tree.size == self._ahead[-1]:
            self._head((self._witness or {})[self._ahead.pop()])

    def _received(self, run: list[bytes]) -> None:
        """No entry may say it came long before those that stand before it."""
        times = [line[RECEIVED] for line in run]
        ordered, size = sorted(times), self._tree.size
        alike = ordered[0][:17] == ordered[-1][:17] == BEFORE_TIME  # then it is so of all between them
        self._first_unsealed = times[0] if size == self._sealed_until else self._first_unsealed
        if not self._verdict.expect(alike, f"an entry at {size} or behind it has an unknown form"):
            return
        latest = self._latest or ordered[0]
        self._latest = max(latest, ordered[-1])
        if times == ordered and times[0] >= latest:
            return
        for at, (time, most) in enumerate(zip(times, accumulate([latest, *times], max))):  # noqa: B905
            right = time >= most or _received_at(time) >= _received_at(most) - LATE
            self._verdict.expect(right, f"entry {size + at}: says it came before others that stand before it")

    def _head(self, head: Any) -> None:
        same = b64decode(head["root"]) == self._tree.root()
        known = self._sealed_until
        if self._verdict.expect(same or not self._rooted, f"entries {known} to {head['size'] - 1}: not those signed"):
            self._sealed_until = head["size"]
        self._rooted = same
        late = self._latest and _received_at(self._latest) > moment(head["at"]) + LATE
        self._verdict.expect(not late, f"an entry before {head['size']} says it came after it was signed")

    _rooted = True  # whether the last head was this log's: after the first that was not, none can be

    def _mark(self, said: Any) -> None:
        [(kind, value)] = said.items()
        size = self._tree.size
        if kind == "destroyed":
            self._destroyed.append(size)
            leaf = bytes.fromhex(value)
            self._verdict.expect(len(leaf) == 32, f"leaf {size}: no hash")
            self._leaves([leaf])
        elif kind == "node":
            made = self._tree.nodes.pop((value[0], value[1]), None)
            self._verdict.expect(made == b64decode(value[2]), f"the node {value[1]} of level {value[0]} was changed")
        elif kind == "head":
            self._own_head(value)
        elif kind == "destruction":
            self._destructions.append(value)
        elif kind == "hidden":
            self._hidden.append(value)
        elif kind == "end":
            self._ended = value == size
        else:
            wrong = {
                "leaf": f"leaf {size - 1}: not the hash of its entry",
                "misfiled": f"leaf {value}: of another record",
                "unsealed": f"entry {value}: never came into the log",
            }
            self._verdict.expect(False, wrong.get(kind, f"an unknown line before {size}"))

    def _own_head(self, head: Any) -> None:
        """A head as the database has it; one may have been signed after the witness was copied."""
        size = head["size"]
        self._verdict.expect(size == self._tree.size, f"the head of {size} entries stands in another place")
        self._inline.add(size)
        if self._witness is not None and size <= max(self._witness, default=0):
            self._verdict.expect(self._witness.get(size) == head, f"the head of {size} entries is not the witness's")
            return  # that it is this log's was looked at as the witness has it
        self._head(head)
        self._keys.signs(f"head of {size} entries", head["key_id"], head_text(head), head["signature"], size)

    def _marked(self, line: bytes) -> None:
        """Keeps what an entry says of destruction and of hiding."""
        if line[3] != V or not any(word in line[ACTION] for word in MARKED):
            return
        said = json.loads(line[1:])
        if said["action"] == "trace.destroyed" and said["source"] == "audit":
            self._digests.add(said.get("digest", ""))
        elif said["action"] in HIDING and said["outcome"] == "allowed":
            kind, hides = HIDING[said["action"]]
            self._hiding.setdefault((said.get("object_id"), kind), []).append((moment(said["at"]), hides))

    def finish(self) -> None:
        """What can be said at the end alone."""
        size, verdict = self._tree.size, self._verdict
        verdict.expect(self._ended and size == self._header["size"], "the file was cut off")
        verdict.expect(not self._tree.nodes, "nodes are missing from the database")
        for ahead in self._ahead:
            early = moment((self._witness or {})[ahead]["at"]) <= self._until
            verdict.expect(not early, f"the log ends at {size}; the witness knows of {max(self._ahead)} entries")
        for known in set(self._witness or ()) - self._inline - set(self._ahead):
            early = moment((self._witness or {})[known]["at"]) <= self._until and known > self._header["first"]
            verdict.expect(not early, f"the head of {known} entries is missing from the database")
        self._check_destroyed()
        self._check_hidden()
        if self._witness is None and self._sealed_until < size:  # otherwise the witness would know
            early = self._first_unsealed == b"" or _received_at(self._first_unsealed) <= self._until
            verdict.expect(not early, f"nobody signed for the entries from {self._sealed_until} on")
        first, sealed = self._header["first"], self._sealed_until
        verdict.told.append(f"{size - first} entries from {first} on, those before {sealed} under a signed head")

    def _check_destroyed(self) -> None:
        covered: set[int] = set()
        for order in self._destructions:
            known = sha256(order["said"].encode()).hexdigest() in self._digests
            early = moment(order["at"]) <= self._until and not self._header["first"]
            self._verdict.expect(known or not early, "contents were destroyed by an order that no entry tells of")
            ranges = [line.split("-") for line in order["said"].splitlines()[1:]]
            covered.update(*(range(int(first), int(last) + 1) for first, last in ranges))
        gone = [position for position in self._destroyed if position not in covered]
        first = gone[0] if gone else 0
        self._verdict.expect(not gone, f"contents are gone without an order: {len(gone)}, the first at {first}")
        if self._destroyed:
            self._verdict.told.append(f"{len(self._destroyed)} destroyed under {len(self._destructions)} orders")

    def _check_hidden(self) -> None:
        """A document is hidden from readers of histories when somebody hid it, and as long as nobody showed it."""
        if self._header["first"]:
            return  # who hid it may have been before
        times: dict[tuple[str, str], list[tuple[datetime, datetime | None]]] = {}
        for row in self._hidden:
            until = None if row["until"] is None else moment(row["until"])
            if self._destroyed and not row["known"]:
                continue  # all about the document was destroyed, who hid it too
            times.setdefault((row["document_id"], row["kind"]), []).append((moment(row["since"]), until))
        for what in {*times, *self._hiding}:
            rows, told = times.get(what, []), sorted(self._hiding.get(what, []))
            newest = max([at for at, _ in told] + [at for row in rows for at in row if at is not None])
            underway = self._until < newest <= moment(self._header["at"]) + LATE
            right = underway or _agree(rows, told)
            self._verdict.expect(right, f"document {what[0]}: {what[1]} or shown without anybody's doing")


def _agree(rows: list[tuple[datetime, datetime | None]], told: list[tuple[datetime, bool]]) -> bool:
    """Whether the times in which a document was hidden, by the table, are those that entries tell of."""
    began, ended = [at for at, hides in told if hides], [at for at, hides in told if not hides]
    known = all(_near(since, began) and (until is None or _near(until, ended)) for since, until in rows)
    covered = all(
        any(since <= at + LATE and (until is None or until >= at - LATE) for since, until in rows) for at in began
    )
    return known and covered and any(until is None for _, until in rows) == bool(told and told[-1][1])


def _near(at: datetime, moments: list[datetime]) -> bool:
    return any(abs(at - each) <= LATE for each in moments)


# --- a history ------------------------------------------------------------------------------------------------------


def read_history(
    header: Any, blocks: Iterable[list[bytes]], keys: Keys, witness: list[Any] | None, verdict: Verdict
) -> None:
    """Checks that these are all entries of a record that its reader may see, each as it was signed, in the log."""
    head, tree, shown = header["head"], Tree(), Tree()
    for lines in blocks:
        shown.extend(tree.walk(lines))
    signed, roots = str(header["statement"]).split("\n"), (shown.root(), tree.root())
    said_roots = tuple(b64decode(text) for text in (signed[3], signed[5]))
    verdict.expect(signed[0] == "opendsp audit history" and len(signed) == 8, "its statement has an unknown form")
    verdict.expect(signed[1] == ",".join(sorted(header["records"])), "its statement is about other records")
    verdict.expect(int(signed[2]) == shown.size, f"it shows {shown.size} entries of {signed[2]}")
    verdict.expect(roots[0] == said_roots[0], "its entries are not those that were signed for")
    verdict.expect(int(signed[4]) == tree.size == head["size"], "its statement is about the log at another size")
    verdict.expect(roots[1] == said_roots[1] == b64decode(head["root"]), "its entries are not those of the log")
    keys.signs("statement", header["key_id"], header["statement"], header["signature"])
    keys.signs(f"head of {head['size']} entries", head["key_id"], head_text(head), head["signature"], head["size"])
    if witness is not None:
        same = [each for each in witness if each["size"] == head["size"]]
        early = not same and witness and head["size"] > witness[-1]["size"]
        verdict.expect(bool(early) or same == [head], "the witness knows of another log")
    verdict.told.append(f"{shown.size} entries, all there were to show of it on {signed[6]}")


# --- the command ----------------------------------------------------------------------------------------------------


def check(
    file: IO[bytes], *, witness: IO[bytes] | None = None, keys: Iterable[str] = (), lag: float = LAG
) -> Verdict:  # fmt: skip
    """Checks an export, or a witness file.

    witness: heads that were kept elsewhere than the database. keys: public keys that are known to be the platform's.
    lag: seconds before the export in which what was signed may not have been in the database.
    Refuses: Unreadable.
    """
    verdict = Verdict()
    ring = Keys(verdict, keys)
    known = None
    if witness is not None:
        known = read_witness(witness, ring, verdict)
        verdict.expect(bool(known), "the witness knows of no head")
        verdict.trusted = True
    try:
        _checked(file, ring, known, lag, verdict)
        ring.settle()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as broken:
        if not verdict.wrong:
            raise Unreadable(f"not an export of OpenDSP, or a damaged one ({type(broken).__name__})") from broken
    return verdict


def _checked(file: IO[bytes], keys: Keys, witness: list[Any] | None, lag: float, verdict: Verdict) -> None:
    first = file.readline()
    header = json.loads(first)
    kind = header.get("format")
    if kind not in (HISTORY, LOG):
        file.seek(0)
        heads = read_witness(file, keys, verdict)
        verdict.expect(bool(heads), "there is no head in it")
        verdict.told.append(f"{len(heads)} heads, the last of {heads[-1]['size']} entries" if heads else "no head")
        return
    known = keys.names()
    keys.name(header["keys"], "database")
    verdict.expect(witness is None or keys.names() == known, "the database names a key that the witness does not know")
    if kind == HISTORY:
        read_history(header, _blocks(file, verdict), keys, witness, verdict)
        return
    log = Log(header, keys, witness, lag, verdict)
    for lines in _blocks(file, verdict):
        log.read(lines)
    log.finish()


def _blocks(file: IO[bytes], verdict: Verdict) -> Iterator[list[bytes]]:
    """The lines of a file, many at a time, each behind the zero of a leaf [RFC 9162 2.1.1]."""
    while True:
        block = file.read(BLOCK)
        if not block:
            return
        lines = (b"\0" + block + file.readline()).replace(b"\n", b"\n\0").split(b"\n")
        verdict.expect(lines.pop() == b"\0", "its last line was cut off")
        yield lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Says what was found, and how it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--witness", type=Path, help="heads.jsonl, copied before the export was made")
    parser.add_argument("--key", action="append", default=[], help="public key in base64; again for each further one")
    parser.add_argument("--lag", type=float, default=LAG, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    try:
        with asked.file.open("rb") as file:
            if asked.witness:
                with asked.witness.open("rb") as witness:
                    verdict = check(file, witness=witness, keys=asked.key, lag=asked.lag)
            else:
                verdict = check(file, keys=asked.key, lag=asked.lag)
    except (OSError, Unreadable) as broken:
        sys.stdout.write(f"CANNOT BE CHECKED: {broken}\n")
        return 2
    titles = {0: "GENUINE", 1: "NOT GENUINE", 3: "IN ORDER, BUT NOBODY VOUCHES FOR ITS KEY: give --key or --witness"}
    more = len(verdict.wrong) - MOST_SHOWN
    shown = [*verdict.wrong[:MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    sys.stdout.write("\n".join([titles[verdict.code], *(f"- {line}" for line in (*shown, *verdict.told))]) + "\n")
    return verdict.code


if __name__ == "__main__":
    raise SystemExit(main())
