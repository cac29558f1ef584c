"""Which grants and words a merge had brought along that was undone: they are another person's. Who opposed is found."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

GRANTS = {
    "blocklist": "block_id",
    "circle_members": "member_id",
    "mandates": "mandate_id",
    "representatives": "representative_id",
    "assistants": "assistant_id",
    "referring_physicians": "designation_id",
}

# A copy of a row in a record that does not lead here, and the copies of that copy.
_COPIES = """
    with recursive gone as (
        select c.{id} from {table} c join {table} o on o.{id} = c.copied_from
          join records r on r.record_id = o.record_id
         where r.merged_into is distinct from c.record_id
        union
        select c.{id} from gone join {table} c on c.copied_from = gone.{id}
    )
    update {table} set taken_back = true where {id} in (select {id} from gone)
"""

# Words lost the sign of whose they are when they were taken back: ended here, said alike and by the same account before
# in a record whose patient was taken for this one once, and is not any more.
_WORDS = """
    update record_settings mine set taken_back = true
      from record_settings said, records here, records there, patient_merges m
     where mine.until is not null and mine.copied_from is null and m.state = 'undone'
       and here.record_id = mine.record_id and there.record_id = said.record_id and here.record_id <> there.record_id
       and (m.survivor_id, m.merged_id) in (
           (coalesce(here.opened_for, here.patient_id), coalesce(there.opened_for, there.patient_id)),
           (coalesce(there.opened_for, there.patient_id), coalesce(here.opened_for, here.patient_id)))
       and said.name = mine.name and said.value = mine.value and said.account_id = mine.account_id
       and said.note is not distinct from mine.note and said.declared_on is not distinct from mine.declared_on
       and said.since < mine.since
"""


def upgrade() -> None:
    for table in (*GRANTS, "record_settings"):
        op.add_column(table, sa.Column("taken_back", sa.Boolean, nullable=False, server_default=sa.false()))
    for table, id_ in GRANTS.items():
        op.execute(_COPIES.format(table=table, id=id_))
    op.execute(_WORDS)
    op.create_index(
        "ix_records_deleted", "records", [sa.text("coalesce(opened_for, patient_id)")],
        postgresql_where=sa.text("state = 'deleted'"),
    )  # fmt: skip
