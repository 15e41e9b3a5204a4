"""Signing in, hardened: queues of a user, scopes of a token, set-up links, failed attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0004_sign_in"
down_revision = "0003_audit_chain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("queues", sa.Text(), nullable=True))
    op.add_column("api_tokens", sa.Column("scopes", sa.String(200), nullable=True))
    op.add_column("sign_in_links", sa.Column("kind", sa.String(16), server_default="sign_in", nullable=False))
    op.create_table(
        "sign_in_attempts",
        sa.Column("name_digest", sa.String(64), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name_digest", name=op.f("pk_sign_in_attempts")),
    )


def downgrade() -> None:
    op.drop_table("sign_in_attempts")
    op.drop_column("sign_in_links", "kind")
    op.drop_column("api_tokens", "scopes")
    op.drop_column("users", "queues")
