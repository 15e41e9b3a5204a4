"""Know photos again: a fingerprint by photo, and what the photos of a case version tell about themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0007_photo_checks"
down_revision = "0006_outbox"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("photos", sa.Column("fingerprint", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_photos_created_at"), "photos", ["created_at"])
    op.create_index(op.f("ix_case_photos_digest"), "case_photos", ["digest"])
    op.create_table(
        "photo_checks",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_photo_checks_case_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo_checks")),
        sa.UniqueConstraint("case_key", "version", name=op.f("uq_photo_checks_case_key_version")),
    )


def downgrade() -> None:
    op.drop_table("photo_checks")
    op.drop_index(op.f("ix_case_photos_digest"), table_name="case_photos")
    op.drop_index(op.f("ix_photos_created_at"), table_name="photos")
    op.drop_column("photos", "fingerprint")
