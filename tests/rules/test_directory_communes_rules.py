"""What a postal code tells of a commune: its own where no other has it too, and else nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.directory.rules_communes import Place, Span, spans

PLACES = st.lists(
    st.builds(
        lambda commune, first, more: Place(commune, f"{commune} {first}", first, first + more),
        st.sampled_from("ABC"), st.integers(1000, 1030), st.integers(0, 12),
    ), max_size=6,
)  # fmt: skip


def test_a_code_that_two_communes_have_tells_nothing() -> None:
    found = spans([Place("A", "a", 1000, 1009), Place("B", "b", 1005, 1005), Place("C", "c", 0, 0)])
    assert found == (Span("A", 1000, 1004), Span("A", 1006, 1009))


@given(PLACES)
def test_every_code_is_in_the_span_of_its_one_commune_or_in_none(places: list[Place]) -> None:
    found = spans(places)
    for code in range(995, 1050):
        communes = {place.commune for place in places if place.first_code <= code <= place.last_code}
        told = [span.commune for span in found if span.first_code <= code <= span.last_code]
        assert told == (list(communes) if len(communes) == 1 else [])
