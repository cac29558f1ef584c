"""The query of patients by commune."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory import store_patients
from services.directory.rules_communes import Place, Span

# People are many, but what stands on their letters is told in a few thousand ways: only these are looked up. The name
# of the locality says most; a code says where it is when it can be of one commune alone.
_BY_COMMUNE = """
    with places as (
        select * from unnest(cast(:communes as text[]), cast(:localities as text[])) as told (commune, locality)
    ),
    spans as (
        select * from unnest(cast(:spanned as text[]), cast(:firsts as integer[]), cast(:lasts as integer[]))
            as told (commune, first_code, last_code)
    ),
    told as (
        select country, locality, postal_code, count(*) as number
        from patients where merged_into is null {those} group by 1, 2, 3
    ),
    homes as materialized (
        select country, lower(btrim(locality)) as locality, number,
            cast(substring(postal_code from '([0-9]{{4}})\\s*$') as integer) as code
        from told
    )
    select case when homes.country <> 'LU' then 'abroad' else coalesce(named.commune, spans.commune, 'unknown') end
            as commune,
        cast(sum(homes.number) as bigint) as number
    from homes left join places named on named.locality = homes.locality
    left join spans on named.commune is null and homes.code between spans.first_code and spans.last_code
    group by 1 order by 1
"""
_OF_ALL = sa.text(_BY_COMMUNE.format(those=""))
_OF_THOSE = sa.text(_BY_COMMUNE.format(those="and patient_id = any(cast(:patient_ids as uuid[]))"))


def patients_by_commune(
    session: Session, places: Sequence[Place], spans: Sequence[Span], patient_ids: Sequence[str] | None
) -> dict[str, int]:  # fmt: skip
    """Returns how many living sheets have their registered address in each commune; patient_ids: None for all."""
    told = {
        "communes": [place.commune for place in places], "localities": [place.locality for place in places],
        "spanned": [span.commune for span in spans], "firsts": [span.first_code for span in spans],
        "lasts": [span.last_code for span in spans],
    }  # fmt: skip
    if patient_ids is None:
        rows = session.execute(_OF_ALL, told)
    else:
        living = sorted(set(store_patients.living_of(session, patient_ids).values()))
        rows = session.execute(_OF_THOSE, {**told, "patient_ids": living})
    return {row.commune: row.number for row in rows}
