"""Let a challenger score live cases in shadow: what it says, and when it was switched on and off."""

import sqlalchemy as sa
from alembic import op

revision = "0011_shadow"
down_revision = "0010_soonest_due_first"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "shadow_suggestions",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("suggestion_id", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_shadow_suggestions_case_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_suggestions")),
        sa.UniqueConstraint(
            "case_key", "version", "suggestion_id", "model_version", name=op.f("uq_shadow_suggestions_answer")
        ),
    )
    op.create_index(op.f("ix_shadow_suggestions_model_version_id"), "shadow_suggestions", ["model_version", "id"])
    op.create_table(
        "shadow_runs",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("on_by", sa.String(128), nullable=False),
        sa.Column("on_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("off_by", sa.String(128), nullable=True),
        sa.Column("off_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_runs")),
    )


def downgrade() -> None:
    op.drop_table("shadow_runs")
    op.drop_table("shadow_suggestions")
