"""Chain the audit trail: a place, a salted digest of the content and a digest of the entry.

Entries written before are chained by the first transaction after (`serving.store.trail.seal`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_audit_chain"
down_revision = "0002_desk"
branch_labels = None
depends_on = None

_CONTENT = (("actor", sa.String(128)), ("subject", sa.String(300)), ("detail", sa.Text()))


def upgrade() -> None:
    with op.batch_alter_table("audit_events") as table:
        for name, kind in _CONTENT:
            table.alter_column(name, existing_type=kind, nullable=True)
        table.add_column(sa.Column("salt", sa.String(32), nullable=True))
        table.add_column(sa.Column("place", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("content_digest", sa.String(64), nullable=True))
        table.add_column(sa.Column("digest", sa.String(64), nullable=True))
        table.create_unique_constraint(op.f("uq_audit_events_place"), ["place"])


def downgrade() -> None:
    op.execute("DELETE FROM audit_events WHERE actor IS NULL")
    with op.batch_alter_table("audit_events") as table:
        table.drop_constraint(op.f("uq_audit_events_place"), type_="unique")
        for name in ("digest", "content_digest", "place", "salt"):
            table.drop_column(name)
        for name, kind in _CONTENT:
            table.alter_column(name, existing_type=kind, nullable=False)
