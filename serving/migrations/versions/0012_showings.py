"""Note which suggestions were shown to people who may decide. Of the time before, decisions say what clients said."""

import sqlalchemy as sa
from alembic import op

revision = "0012_showings"
down_revision = "0011_shadow"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "showings",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("suggestion_id", sa.String(64), nullable=False),
        sa.Column("user_key", _KEY, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_showings_case_key")),
        sa.ForeignKeyConstraint(["user_key"], ["users.id"], name=op.f("fk_showings_user_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_showings")),
        sa.UniqueConstraint(
            "case_key",
            "version",
            "user_key",
            "suggestion_id",
            name=op.f("uq_showings_case_key_version_user_key_suggestion_id"),
        ),
    )


def downgrade() -> None:
    op.drop_table("showings")
