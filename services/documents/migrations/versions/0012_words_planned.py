"""The words of a document are taken by a function whose plan a connection keeps: made anew each time, planning it took
the database longer than the words."""

from alembic import op

revision = "0012"
down_revision = "0011"

# As before, word by word; only the language is another.
DOCUMENT_WORDS = """
    create or replace function document_words(title text[], body text[]) returns tsvector
    language plpgsql immutable strict parallel safe as $$
    begin
        return (
        with said (word, place) as (
            select distinct unnest(title), '1A' union all select distinct unnest(body), '2D'),
        stemmed (word, place) as (
            select distinct '=' || stem, place from said cross join lateral unnest(
                ts_lexize('french_stem', regexp_replace(word, 'ees?$', 'e')) || ts_lexize('german_stem', word)
                || ts_lexize('english_stem', word) || ts_lexize('portuguese_stem', word)) as stem
             where stem <> word)
        select cast(coalesce(string_agg(quote_literal(word) || ':' || place, ' '), '') as tsvector)
          from (select * from said union all select * from stemmed) as told);
    end
    $$
"""


def upgrade() -> None:
    op.execute(DOCUMENT_WORDS)
