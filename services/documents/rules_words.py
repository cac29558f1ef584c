"""Words as a search reads them: folded texts, what somebody seeks, and what of a found text is to be marked. Pure.

A word is found whole, by its beginning (from three letters on), and by any word with which it shares a stem in French,
German, English or Portuguese; Luxembourgish is found as it is written. Accents and case never matter. Words in quotes
are found exactly, one after the other.

The index holds folded words, and their stems with a mark in front, so that no beginning of a word finds a stem. A word
of the title weighs A, of the type's and the author's names B, of the text D.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.documents.contract_finding import Piece

WORD_LENGTH = 64
"""The letters of a word that count."""

INDEX_ROOM = 60_000
"""The bytes of different words that a document is found by: with their stems no more than an index entry takes."""

TERMS_LIMIT = 12
"""The words and phrases that one search may have."""

PREFIX_FROM = 3
"""The letters from which on a word finds those it begins."""

QUERY_LENGTH = 200
SNIPPET_LENGTH = 240
SNIPPET_BEFORE = 70
"""How much of a text is shown, and how much of it before the first word that was found."""

STEM_MARK = "="

_MARKS = re.compile("[\u0300-\u036f]+")
_OTHER_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_WORD = re.compile(r"[^\W_]+")
_QUOTES = str.maketrans(dict.fromkeys("«»“”„‟″", '"'))
_SAID = re.compile(r'"([^"]*)"|([^"]+)')
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\\s]+")

# --- texts ------------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """The text without accents and case; a ligature as the letters it is made of."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold().translate(_OTHER_LETTERS)
    return _MARKS.sub("", plain)  # what casefold took apart


def words(text: str) -> list[str]:
    """The folded words of a text, in their order."""
    return [word[:WORD_LENGTH] for word in _WORD.findall(fold(text))]


def indexed(text: str) -> list[str]:
    """The different words of a text that it is found by: as many as an index of one document holds."""
    kept: list[str] = []
    room = INDEX_ROOM
    for word in dict.fromkeys(words(text)):
        room -= len(word.encode())
        if room < 0:
            break
        kept.append(word)
    return kept


def body(text: str, limit: int) -> str:
    """The text of a file as it is kept: on one line, each letter in its one spelling, at most `limit` characters."""
    return _CONTROLS.sub(" ", unicodedata.normalize("NFKC", text[:limit])).strip()[:limit]


# --- what is sought ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A word somebody seeks, or the words of a phrase."""

    words: tuple[str, ...]
    phrase: bool = False


@dataclass(frozen=True)
class Stems:
    """The stems of a word, other than itself. stop: it says so little in some language that it need not be found."""

    stems: tuple[str, ...] = ()
    stop: bool = False


@dataclass(frozen=True)
class Question:
    """A term as the database is asked for it.

    anywhere, in_title, beside: tsqueries for a word of it in any place, in the title, in the type's or author's names.
    pattern: the regular expression of a phrase, "" for a word. optional: it may be missing.
    """

    anywhere: str
    in_title: str
    beside: str
    pattern: str
    optional: bool


@dataclass(frozen=True)
class Sought:
    """A whole search. required: a tsquery that all found fit. first: an expression for the first word to be shown."""

    questions: tuple[Question, ...]
    required: str
    first: str


def read_query(text: object) -> tuple[Term, ...] | None:
    """The words and phrases of what somebody typed, each once; None where there is none, or too much."""
    if not isinstance(text, str) or len(text) > QUERY_LENGTH:
        return None
    terms: dict[Term, None] = {}
    for quoted, loose in _SAID.findall(text.translate(_QUOTES)):
        if quoted and (phrase := tuple(words(quoted))):
            terms[Term(phrase, True)] = None
        terms |= dict.fromkeys(Term((word,)) for word in words(loose))
    return tuple(terms) if 0 < len(terms) <= TERMS_LIMIT else None


def loose_words(terms: Iterable[Term]) -> tuple[str, ...]:
    """The words whose stems matter."""
    return tuple(dict.fromkeys(term.words[0] for term in terms if not term.phrase))


def sought(terms: Sequence[Term], stems: Mapping[str, Stems]) -> Sought:
    """What the database is asked for these terms. A word that says little is required only where all do."""
    stop = [not term.phrase and stems.get(term.words[0], Stems()).stop for term in terms]
    if all(stop):
        stop = [False] * len(stop)
    questions = tuple(_question(term, stems, dropped) for term, dropped in zip(terms, stop, strict=True))
    required = " & ".join(f"({each.anywhere})" for each in questions if not each.optional)
    shown = dict.fromkeys(_shown(term, stems) for term, dropped in zip(terms, stop, strict=True) if not dropped)
    return Sought(questions, required, "|".join(shown))


def _question(term: Term, stems: Mapping[str, Stems], optional: bool) -> Question:
    return Question(
        _tsquery(term, stems, ""), _tsquery(term, stems, "A"), _tsquery(term, stems, "B"),
        _exactly(term.words) if term.phrase else "", optional,
    )  # fmt: skip


def _tsquery(term: Term, stems: Mapping[str, Stems], weight: str) -> str:
    if term.phrase:
        return " & ".join(_lexeme(word, weight) for word in term.words)
    word = term.words[0]
    alternatives = [_lexeme(word, "*" * begins_others(word) + weight)]
    for stem in stems.get(word, Stems()).stems:
        alternatives += [_lexeme(STEM_MARK + stem, weight), _lexeme(stem, weight)]
    # The word may be the very stem of others.
    alternatives.append(_lexeme(STEM_MARK + word, weight))
    return " | ".join(alternatives)


def _lexeme(word: str, flags: str) -> str:
    return f"'{word}'" + (f":{flags}" if flags else "")


def begins_others(word: str) -> bool:
    """Whether a word also finds those that it begins."""
    return len(word) >= PREFIX_FROM


# --- expressions over the text as it was written ----------------------------------------------------------------------


def _spellings() -> tuple[dict[str, str], dict[str, str]]:
    """For each letter all that fold to it, as a class; for each pair of letters the ligatures."""
    single: dict[str, str] = {}
    double: dict[str, str] = {}
    for character in map(chr, range(0xC0, 0x250)):
        plain = fold(character)
        if character != character.lower() or not plain.isascii() or not plain.isalpha():
            continue
        into = single if len(plain) == 1 else double
        into[plain] = into.get(plain, "") + character
    return single, double


_SINGLE, _DOUBLE = _spellings()
_EDGE_BEFORE, _EDGE_AFTER, _BETWEEN = "(?<![[:alnum:]])", "(?![[:alnum:]])", "[^[:alnum:]]+"


def _written(word: str) -> str:
    """An expression, to be used without regard to case, for every way in which a folded word may be written."""
    parts, at = [], 0
    while at < len(word):
        pair = word[at : at + 2]
        if pair in _DOUBLE:
            parts.append(f"(?:{_letter(pair[0])}{_letter(pair[1])}|[{_DOUBLE[pair]}])")
        else:
            parts.append(_letter(word[at]))
        at += 2 if pair in _DOUBLE else 1
    return "".join(parts)


def _letter(letter: str) -> str:
    return f"[{letter}{_SINGLE[letter]}]" if letter in _SINGLE else letter


def _exactly(phrase: Sequence[str]) -> str:
    return _EDGE_BEFORE + _BETWEEN.join(_written(word) for word in phrase) + _EDGE_AFTER


def _shown(term: Term, stems: Mapping[str, Stems]) -> str:
    if term.phrase:
        return _exactly(term.words)
    return "|".join(
        _EDGE_BEFORE + _written(beginning) + ("" if begins_others(beginning) else _EDGE_AFTER)
        for beginning in beginnings(term.words[0], stems)
    )


def beginnings(word: str, stems: Mapping[str, Stems]) -> list[str]:
    """What the words begin with that are marked for a sought one: itself, its stems; none that begins with another."""
    found: list[str] = []
    for each in sorted({word, *stems.get(word, Stems()).stems}, key=lambda one: (len(one), one)):
        if not any(each.startswith(shorter) and begins_others(shorter) for shorter in found):
            found.append(each)
    return found


# --- what is shown ----------------------------------------------------------------------------------------------------


def pieces(text: str, terms: Sequence[Term], stems: Mapping[str, Stems]) -> list[Piece]:
    """A text in pieces, those that were sought marked; never anything but text."""
    spots = [(match.span(), fold(match.group())[:WORD_LENGTH]) for match in _WORD.finditer(text)]
    marked = [False] * len(spots)
    for term in terms:
        if term.phrase:
            _mark_phrase(term.words, [word for _, word in spots], marked)
            continue
        starts = beginnings(term.words[0], stems)
        for number, (_, word) in enumerate(spots):
            marked[number] |= any(word == each or (begins_others(each) and word.startswith(each)) for each in starts)
    found: list[Piece] = []
    done = 0
    for ((start, end), _), hit in zip(spots, marked, strict=True):
        if hit:
            if start > done:
                found.append({"text": text[done:start], "found": False})
            found.append({"text": text[start:end], "found": True})
            done = end
    if done < len(text):
        found.append({"text": text[done:], "found": False})
    return found


def _mark_phrase(phrase: Sequence[str], told: Sequence[str], marked: list[bool]) -> None:
    length = len(phrase)
    for at in range(len(told) - length + 1):
        if tuple(told[at : at + length]) == tuple(phrase):
            marked[at : at + length] = [True] * length


def whole_words(cut: str, *, from_start: bool, to_end: bool) -> str:
    """A piece cut out of a text, without the halves of words at its ends."""
    if not from_start:
        cut = cut.partition(" ")[2] or cut
    if not to_end:
        cut = cut.rpartition(" ")[0] or cut
    return cut
