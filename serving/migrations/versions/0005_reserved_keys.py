"""Idempotency keys that are held while their request is in flight, fenced against one that comes back late.

Answers kept before are dropped: they lack what an answer is repeated from.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_reserved_keys"
down_revision = "0004_sign_in"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM idempotency_keys")
    op.add_column("idempotency_keys", sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("idempotency_keys", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("idempotency_keys", sa.Column("done_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM idempotency_keys")
    for name in ("done_at", "held_until", "fence"):
        op.drop_column("idempotency_keys", name)
