"""The search by words: it finds exactly what a reader sees and what fits, ranks by that alone, and quotes as text.

A reference that knows no index says what fits; the folded words of every language meet each other in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.documents import examining, rules_words, wording
from services.documents.contract import TEXT
from services.documents.rules_findings import Findings
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.conftest import Before
from tests.services.ward import Ward


def deposit(ward: Ward, who: Caller, text: str = "", title: str = "Compte rendu", **changes: Any) -> str:
    """A document whose close look found this text."""
    started = ward.prepare(who, title=title, **changes)
    data = b"Texte"
    ward.put(started, data)
    document_id = str(ward.commit(who, started, data, media_type=TEXT)["document_id"])
    looked_at(ward, text)
    return document_id


def looked_at(ward: Ward, text: str) -> None:
    for row in ward.sql("select version_id from examinations"):
        with ward.house.sessions["documents"].transaction() as session:
            examining.finish(session, str(row.version_id), Findings(text=text), now())


def page(ward: Ward, who: Caller, query: str, **changes: Any) -> Any:
    return ward.ask("search_documents", who, record_id=ward.record_id, query=query, **changes)


def found(ward: Ward, who: Caller, query: str, **changes: Any) -> list[str]:
    return [one["document_id"] for one in page(ward, who, query, **changes)["documents"]]


def marked(pieces: list[dict[str, Any]]) -> list[str]:
    return [piece["text"] for piece in pieces if piece["found"]]


# --- what is found ----------------------------------------------------------------------------------------------------


def test_words_of_title_and_text_are_found_without_accents_and_case(ward: Ward) -> None:
    doctor = ward.present()
    one = deposit(ward, doctor, "Œdème pulmonaire à l'échographie, Straße 5", "Sérologie")
    deposit(ward, doctor, "Rien de tel", "Autre chose")
    for query in ("serologie", "SÉROLOGIE", "oedeme", "œdème", "echographie pulmonaire", "strasse", "serologie oedeme"):
        assert found(ward, doctor, query) == [one], query
    assert found(ward, doctor, "serologie absente") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Les analyses du sang", "analyse"),
        ("Keine Entzündungen festgestellt", "entzündung"),
        ("Two fractured ribs", "fractures"),
        ("Une patiente opérée", "opéré"),
        ("As receitas médicas", "receita"),
        ("D'Blutt gouf ënnersicht", "ennersicht"),
    ],
)
def test_a_word_is_found_by_another_form_of_it_in_five_languages(ward: Ward, text: str, query: str) -> None:
    doctor = ward.present()
    one = deposit(ward, doctor, text)
    assert found(ward, doctor, query) == [one]


def test_a_word_is_found_by_its_beginning_from_three_letters_on(ward: Ward) -> None:
    doctor = ward.present()
    one = deposit(ward, doctor, "Radiographie du thorax, CT prévu")
    assert found(ward, doctor, "rad") == found(ward, doctor, "radiograph thor") == found(ward, doctor, "ct") == [one]
    assert found(ward, doctor, "ra") == found(ward, doctor, "graphie") == []


def test_words_in_quotes_are_found_exactly_and_side_by_side(ward: Ward) -> None:
    doctor = ward.present()
    one = deposit(ward, doctor, "Une prise de sang, puis du repos. " + "et de la vie " * 400 + "Mise au point: cœur")
    deposit(ward, doctor, "Du sang, une prise de courant. Mise en point de cœur")
    assert found(ward, doctor, '"prise de sang"') == found(ward, doctor, "« Prise DE sang »") == [one]
    assert found(ward, doctor, '"au point coeur"') == [one], "far behind, after more words than an index counts"
    assert found(ward, doctor, '"prises de sang"') == found(ward, doctor, '"rise de sang"') == []
    assert len(found(ward, doctor, "prise de sang")) == 2


def test_a_phrase_does_not_run_from_the_title_into_the_text(ward: Ward) -> None:
    doctor = ward.present()
    deposit(ward, doctor, "sang clair", "Prise de")
    assert found(ward, doctor, '"prise de sang"') == [] and len(found(ward, doctor, "prise sang")) == 1


def test_a_word_that_says_little_need_not_be_found_unless_it_stands_alone(ward: Ward) -> None:
    doctor = ward.present()
    with_it, without = deposit(ward, doctor, "Mammographie du sein"), deposit(ward, doctor, "Mammographie")
    assert found(ward, doctor, "mammographie du sein") == [with_it, without], "but who has it comes first"
    assert found(ward, doctor, "sein") == [with_it]


def test_the_names_of_the_type_are_found_in_every_language(ward: Ward) -> None:
    doctor = ward.present("medical_biologist")
    one = deposit(ward, doctor, type="laboratory_results", title="x")
    for query in (
        "laboratory",
        "Laborergebnisse",
        "examens biologiques",
        "laboanalysen",
        "análises",
        '"Laboratory results"',
    ):
        assert found(ward, doctor, query) == [one], query
    assert found(ward, doctor, "vaccination") == []


def test_a_new_version_is_found_by_what_is_in_it_and_another_title_by_its_words(ward: Ward) -> None:
    doctor = ward.present()
    one = deposit(ward, doctor, "Ancien contenu", "Premier titre")
    with ward.house.sessions["documents"].transaction() as session:
        wording.keep_title(session, one, "Titre corrigé")
    assert found(ward, doctor, "premier") == [] and found(ward, doctor, "corrige ancien") == [one]


def test_a_text_of_any_size_and_kind_is_kept(ward: Ward) -> None:
    doctor = ward.present()
    words = " ".join(f"mot{number}" for number in range(30_000))
    one = deposit(ward, doctor, "début \x00 \ud800 ''\\ :*|& " + "x" * 5000 + " " + words)
    assert found(ward, doctor, "debut") == found(ward, doctor, "mot3000") == [one]


# --- how it is answered -----------------------------------------------------------------------------------------------


def test_the_title_comes_before_type_and_author_and_these_before_the_text(ward: Ward) -> None:
    doctor = ward.present()
    in_title = deposit(ward, doctor, title="Vaccination antigrippale")
    in_type = deposit(ward, doctor, type="vaccination_note", title="x")
    in_text = deposit(ward, doctor, "vaccination, vaccination, vaccination " * 50)
    newer = deposit(ward, doctor, "une vaccination")
    assert found(ward, doctor, "vaccination") == [in_title, in_type, newer, in_text]


def test_what_was_found_is_shown_in_pieces_of_plain_text(ward: Ward) -> None:
    doctor = ward.present()
    before, after = "mot " * 100, " suite" * 100
    deposit(ward, doctor, f"{before}<b>une Prise\nde SÀNG</b> & analysée{after}", "Le sang <i>")
    [one] = page(ward, doctor, '"prise de sang" analyses')["documents"]
    assert marked(one["snippet"]) == ["Prise", "de", "SÀNG", "analysée"]
    whole = "".join(piece["text"] for piece in one["snippet"])
    assert "<b>une Prise de SÀNG</b> & analysée suite" in whole and len(whole) <= rules_words.SNIPPET_LENGTH
    assert whole.split()[0] == "mot" and whole.split()[-1] == "suite"
    [one] = page(ward, doctor, "sang")["documents"]
    assert one["title_pieces"] == [
        {"text": "Le ", "found": False}, {"text": "sang", "found": True}, {"text": " <i>", "found": False}
    ]  # fmt: skip
    [one] = page(ward, doctor, "rapports")["documents"]
    assert one["snippet"] == [] and marked(one["title_pieces"]) == []


def test_pages_follow_each_other_without_gap_or_repetition(ward: Ward) -> None:
    doctor = ward.present()
    for number in range(7):
        deposit(ward, doctor, "radio" if number % 2 else "", "Radio" if number % 3 == 0 else "x radio")
    whole = found(ward, doctor, "radio")
    seen: list[str] = []
    cursor = None
    while True:
        answer = page(ward, doctor, "radio", limit=2, cursor=cursor)
        seen += [one["document_id"] for one in answer["documents"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        with pytest.raises(InvalidInput):
            page(ward, doctor, "radios", limit=2, cursor=cursor)
        with pytest.raises(InvalidInput):
            page(ward, doctor, "radio", cursor=cursor, wanted={"level": "standard"})
    assert seen == whole and len(set(whole)) == 7


def test_a_search_is_narrowed_like_a_list(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    one = deposit(ward, doctor, "radio", act_date="2026-03-01")
    deposit(ward, other, "radio", type="medical_certificate", act_date="2025-03-01")
    assert found(ward, doctor, "radio", wanted={"type": "medical_report"}) == [one]
    assert found(ward, doctor, "radio", wanted={"author": doctor.professional_id}) == [one]
    assert found(ward, doctor, "radio", wanted={"acted_from": "2026-01-01"}) == [one]


def test_a_search_leaves_one_trace_without_its_words(ward: Ward) -> None:
    doctor = ward.present()
    deposit(ward, doctor, "sérologie confidentielle")
    ward.sql("delete from outbox")
    found(ward, doctor, "serologie")
    [event] = ward.house.events("documents")
    assert (event["data"]["action"], event["data"]["count"]) == ("document.searched", 1)
    assert "rologie" not in str(event)


def test_wrong_questions_are_pointed_at(ward: Ward) -> None:
    doctor = ward.present()
    for query in ("", "   ", '"" - !', "x" * 201, " ".join(f"mot{number}" for number in range(13)), None):
        with pytest.raises(InvalidInput) as refused:
            page(ward, doctor, query)  # type: ignore[arg-type]
        assert refused.value.detail["errors"][0]["pointer"] == "/query"
    for changes in ({"limit": 0}, {"limit": 51}, {"cursor": "x"}, {"wanted": {"order": "acted"}}, {"wanted": {"x": 1}}):
        with pytest.raises(InvalidInput):
            page(ward, doctor, "radio", **changes)


def test_a_search_is_few_words_to_the_database(ward: Ward) -> None:
    doctor = ward.present()
    deposit(ward, doctor, "radio")
    found(ward, doctor, "radio")
    with ward.counted() as statements:
        found(ward, doctor, "radio")
    assert len(statements) == 2, "the search, and the commit with its trace"


# --- nothing tells of what is hidden ----------------------------------------------------------------------------------


def test_what_is_hidden_is_neither_found_nor_counted_and_its_twin_is(ward: Ward) -> None:
    author, reader, representative = ward.present(), ward.present(), ward.representative()
    told = "diagnostic très particulier"
    shown = deposit(ward, author, told)
    restricted, blocked, withheld, private, removed = (deposit(ward, author, told) for _ in range(5))
    ward.restrict(ward.holder, restricted, reader)
    ward.block(author, blocked)
    ward.sql("update documents set withheld_at = now() where document_id = :d", d=withheld)
    ward.set_level(ward.holder, private, "private")
    ward.sql("update documents set state = 'removed', removed_at = now() where document_id = :d", d=removed)
    everything = {shown, restricted, blocked, withheld, private}
    assert set(found(ward, author, "particulier")) == everything
    assert set(found(ward, reader, "particulier")) == everything - {restricted, private}
    assert set(found(ward, ward.holder, "particulier")) == everything - {blocked}
    assert set(found(ward, representative, "particulier")) == everything - {blocked, withheld}
    assert [trace["count"] for trace in ward.traces("document.searched")] == [5, 3, 4, 3]


def test_what_was_not_checked_yet_is_found_by_its_title_and_its_depositor_alone(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    started = ward.prepare(author, title="Sérologie")
    ward.put(started, b"Texte")
    document_id = ward.commit(author, started, b"Texte", media_type=TEXT)["document_id"]
    assert found(ward, author, "serologie") == [document_id]
    assert found(ward, reader, "serologie") == found(ward, ward.holder, "serologie") == []
    looked_at(ward, "")
    assert found(ward, reader, "serologie") == found(ward, ward.holder, "serologie") == [document_id]


def test_without_a_ground_nothing_is_searched(ward: Ward) -> None:
    deposit(ward, ward.present(), "radio")
    stranger = ward.professional()
    refused = []
    for record_id in (ward.record_id, new_id(), "x"):
        with pytest.raises(RecordNotFound) as refusal:
            ward.ask("search_documents", stranger, record_id=record_id, query="radio")
        refused.append(refusal.value.to_wire())
    assert refused == [refused[0]] * 3
    assert [trace["outcome"] for trace in ward.traces("document.searched")] == ["refused"] * 3


def test_an_author_without_another_ground_searches_their_own(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    own = deposit(ward, author, "radio")
    deposit(ward, other, "radio")
    ward.end_mandates()
    assert found(ward, author, "radio") == [own] and found(ward, author, "absent") == []


# --- from the release before ------------------------------------------------------------------------------------------


def test_the_words_of_a_document_are_what_they_were(database_before: Callable[[str, str], Before]) -> None:
    asked = sa.text(
        "select cast(document_words(array['opere', 'prothesee', 'l''an'], array['patienten', 'opere', 'operacao']) as"
        " text), cast(document_words('{}', '{}') as text), document_words(null, '{}') is null,"
        " (select lanname from pg_language join pg_proc on prolang = pg_language.oid where proname = 'document_words')"
    )
    release = database_before("documents", "0011")
    with release.engine.connect() as connection:
        *before, language = connection.execute(asked).one()
    release.upgrade()
    with release.engine.connect() as connection:
        assert list(connection.execute(asked).one()) == [*before, "plpgsql"]
    assert language == "sql" and "'=prothes" in before[0] and before[1:] == ["", True]
