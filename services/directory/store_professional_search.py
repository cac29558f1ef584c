"""The search for professionals and the page of one: each a single statement, workplaces included.

Words, specialities and localities come folded by the rules, so that none holds a wildcard of LIKE. The search is made
of parts written here, and kept once it is made: what somebody types goes in as parameters alone.
"""

from functools import cache

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.contract import FoundProfessional, ProfessionalRead
from services.directory.rules_professionals import Sought

NOBODY = "00000000-0000-0000-0000-000000000000"


def search_professionals(session: Session, sought: Sought) -> list[FoundProfessional]:
    """Returns one more than the limit, if there are so many, of those each sought word of whom begins one of theirs.

    Those of whom all words begin names come first, each group by name. A page goes on after the professional that the
    cursor names, whether they are found themselves or not.
    """
    rows = session.execute(*statement(sought))
    return [FoundProfessional(**row) for row in rows.mappings()]  # type: ignore[typeddict-item]


def statement(sought: Sought) -> tuple[sa.TextClause, dict[str, object]]:
    """Returns the statement of a search, the same for all searches of one form, and what is asked in this one."""
    return _search(len(sought.words), *_shape(sought)), _values(sought)


def professionals_at(session: Session, sought: Sought) -> list[FoundProfessional]:
    """Returns one more than the limit, if there are so many, of those who work at an establishment, by name."""
    rows = session.execute(_list(*_shape(sought)), _values(sought))
    return [FoundProfessional(**row) for row in rows.mappings()]  # type: ignore[typeddict-item]


def read_professional(session: Session, professional_id: str | None, *, whole: bool) -> ProfessionalRead | None:
    """Returns one professional and when what holds of the licence began and ends; None when there is none.

    whole: with the history that agents are shown.
    """
    if professional_id is None:
        return None
    row = session.execute(_READ_WHOLE if whole else _READ, {"professional_id": professional_id}).mappings().first()
    return None if row is None else ProfessionalRead(**row)  # type: ignore[typeddict-item]


# --- parts of statements ----------------------------------------------------------------------------------------------

# What stands behind the names in found_by: profession and specialities. An index is made of this very expression, so
# that PostgreSQL knows how often a word stands there: together with the names it would take one for the other.
_CARE = "substr(p.found_by, length(p.names_folded) + 1)"

_FILTERS = {
    "profession": "and p.profession = :profession",
    "speciality": "and p.found_by like :speciality",
    "establishment_id": "and exists (select from workplaces w where w.professional_id = p.professional_id"
    " and w.until is null and w.establishment_id = cast(:establishment_id as uuid))",
    "locality": "and exists (select from workplaces w join establishments e using (establishment_id)"
    " where w.professional_id = p.professional_id and w.until is null and e.found_by like :locality)",
}

_PLACE = """json_build_object('establishment_id', e.establishment_id, 'name', e.name, 'kind', e.kind,
    'locality', e.locality"""
_LINE = """cast(p.professional_id as text) as professional_id, p.family_name, p.first_name, p.profession,
    p.specialities, p.licence, coalesce((select json_agg({place}) order by e.name, e.establishment_id)
        from workplaces w join establishments e using (establishment_id)
        where w.professional_id = p.professional_id and w.until is null), '[]') as establishments""".format_map(
    {"place": _PLACE}
)


def _shape(sought: Sought) -> tuple[bool, tuple[str, ...]]:
    return sought.after is not None, tuple(name for name in _FILTERS if getattr(sought, name) is not None)


def _values(sought: Sought) -> dict[str, object]:
    return {
        **{f"word{number}": f"% {word}%" for number, word in enumerate(sought.words)},
        "most": sought.limit + 1, "after": sought.after, "profession": sought.profession,
        "speciality": f"%; {sought.speciality} ;%", "locality": f"%; {sought.locality} ;%",
        "establishment_id": sought.establishment_id, "nobody": NOBODY,
    }  # fmt: skip


@cache
def _search(words: int, goes_on: bool, filters: tuple[str, ...]) -> sa.TextClause:
    named = " and ".join(f"p.names_folded like :word{number}" for number in range(words))
    if words == 1:
        found = _CARE + " like :word0"
    else:
        found = " and ".join(
            f"(p.names_folded like :word{number} or {_CARE} like :word{number})" for number in range(words)
        )
    kept = " ".join(["p.licence <> 'withdrawn'", *(_FILTERS[name] for name in filters)])
    after_first = after_rest = ""
    if goes_on:
        after_first = """and (select named from last) and (p.names_folded, p.professional_id)
            > ((select names_folded from last), (select professional_id from last))"""
        after_rest = """and (p.names_folded, p.professional_id)
            > ((select case when named then '' else names_folded end from last),
               (select case when named then cast(:nobody as uuid) else professional_id end from last))"""
    parts = {"named": named, "found": found, "kept": kept, "first": after_first, "rest": after_rest, "line": _LINE}
    return sa.text(_SEARCH.format_map(parts))


# Each group by itself takes its order from an index, or is few rows; together they would all have to be sorted. Those
# of a name are few, and stand close together in the order: walking it until some are found is the long way to them.
_SEARCH = """
    with last as materialized (
        select {named} as named, p.names_folded, p.professional_id from professionals p
         where p.professional_id = cast(:after as uuid)),
    by_name as materialized (
        select p.names_folded, p.professional_id from professionals p where {named} and {kept}),
    page as (
        select * from (
            (select p.names_folded, p.professional_id, 0 as part from by_name p
              where true {first} order by p.names_folded, p.professional_id limit :most)
            union all
            (select p.names_folded, p.professional_id, 1 as part from professionals p
              where {found} and not ({named}) and {kept} {rest} order by p.names_folded, p.professional_id limit :most)
        ) parts order by part, names_folded, professional_id limit :most)
    select {line} from page join professionals p using (professional_id)
     order by page.part, page.names_folded, page.professional_id"""


@cache
def _list(goes_on: bool, filters: tuple[str, ...]) -> sa.TextClause:
    kept = " ".join(["p.licence <> 'withdrawn'", *(_FILTERS[name] for name in filters)])
    after = """and (p.names_folded, p.professional_id) > (
        select l.names_folded, l.professional_id from professionals l where l.professional_id = cast(:after as uuid))"""
    return sa.text(_LIST.format_map({"line": _LINE, "kept": kept, "after": after if goes_on else ""}))


_LIST = """
    select {line} from professionals p where {kept} {after}
     order by p.names_folded, p.professional_id limit :most"""


def _time(column: str) -> str:
    return "to_char(timezone('UTC', " + column + """), 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"')"""


_TIMES = {name: _time(column) for name, column in (
    ("since", "l.since"), ("until", "l.until"), ("noted", "l.noted_at"), ("began", "w.since"), ("ended", "w.until"),
)}  # fmt: skip

# What has not come yet, and what was called off in time, is not what holds.
_ONE = """
    select {line}, p.version, p.language, holds.since as licence_since, holds.until as licence_until,
           {history} as history
      from professionals p left join lateral (
        select {since} as since, {until} as until from licences l
         where l.professional_id = p.professional_id and l.state = p.licence and l.since <= now()
         order by l.since desc, l.noted_at desc limit 1) holds on true
     where p.professional_id = cast(:professional_id as uuid)"""

_HISTORY = """json_build_object(
        'address', case when p.address_line is not null then json_build_object('line', p.address_line,
            'postal_code', p.postal_code, 'locality', p.locality, 'country', p.country) end,
        'workplaces', coalesce((select json_agg({place}, 'since', {began}, 'until', {ended}, 'emergency', w.emergency)
                order by w.since, e.establishment_id)
            from workplaces w join establishments e using (establishment_id)
            where w.professional_id = p.professional_id), '[]'),
        'licences', coalesce((select json_agg(json_build_object('licence', l.state, 'since', {since}, 'until', {until},
                'noted_at', {noted}) order by l.since, l.noted_at)
            from licences l where l.professional_id = p.professional_id), '[]'))"""

_READ = sa.text(_ONE.format_map({"line": _LINE, "history": "cast(null as json)", **_TIMES}))
_READ_WHOLE = sa.text(
    _ONE.format_map({"line": _LINE, "history": _HISTORY.format_map({"place": _PLACE, **_TIMES}), **_TIMES})
)
