"""The desk: corrections, holds, passes, appeals, notices, assignments, switches, preferences; how cases are ordered.

Plain ALTER TABLE throughout: SQLite can't rebuild a table that others refer to inside a transaction.
"""

import math

import sqlalchemy as sa
from alembic import op

revision = "0002_desk"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "appeals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("filed_by", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_user", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["by_user"], ["users.id"], name=op.f("fk_appeals_by_user")),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_appeals_case_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
        sa.UniqueConstraint("case_key", "turn", name=op.f("uq_appeals_case_key_turn")),
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("previous_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("by_user", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["by_user"], ["users.id"], name=op.f("fk_assignments_by_user")),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_assignments_case_key")),
        sa.ForeignKeyConstraint(["previous_key"], ["users.id"], name=op.f("fk_assignments_previous_key")),
        sa.ForeignKeyConstraint(["user_key"], ["users.id"], name=op.f("fk_assignments_user_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sa.UniqueConstraint("batch_id", "case_key", name=op.f("uq_assignments_batch_id_case_key")),
    )
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("correction_id", sa.String(length=64), nullable=False),
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("suggestion_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.String(length=300), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("by_user", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('statement', 'photo', 'listing_match')", name="ck_corrections_kind"),
        sa.ForeignKeyConstraint(["by_user"], ["users.id"], name=op.f("fk_corrections_by_user")),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_corrections_case_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("correction_id", name=op.f("uq_corrections_correction_id")),
    )
    op.create_index(op.f("ix_corrections_at"), "corrections", ["at"], unique=False)
    op.create_index(op.f("ix_corrections_case_key"), "corrections", ["case_key"], unique=False)

    op.create_table(
        "holds",
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_holds_case_key")),
        sa.ForeignKeyConstraint(["user_key"], ["users.id"], name=op.f("fk_holds_user_key")),
        sa.PrimaryKeyConstraint("case_key", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_user_key_held_until"), "holds", ["user_key", "held_until"], unique=False)

    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("send_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_by", sa.String(length=128), nullable=True),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'sent', 'void')", name="ck_notices_state"),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_notices_case_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_notices_decision_id")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_notices_notice_id")),
    )
    op.create_index(op.f("ix_notices_state_send_after"), "notices", ["state", "send_after"], unique=False)

    op.create_table(
        "passes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('skip', 'recusal')", name="ck_passes_kind"),
        sa.ForeignKeyConstraint(["case_key"], ["cases.id"], name=op.f("fk_passes_case_key")),
        sa.ForeignKeyConstraint(["user_key"], ["users.id"], name=op.f("fk_passes_user_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passes")),
    )
    op.create_index(op.f("ix_passes_case_key"), "passes", ["case_key"], unique=False)
    op.create_index(op.f("ix_passes_user_key_case_key"), "passes", ["user_key", "case_key"], unique=False)

    op.create_table(
        "preferences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("user_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('shortcut', 'view')", name="ck_preferences_kind"),
        sa.ForeignKeyConstraint(["user_key"], ["users.id"], name=op.f("fk_preferences_user_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preferences")),
        sa.UniqueConstraint("user_key", "kind", "name", name=op.f("uq_preferences_user_key_kind_name")),
    )
    op.create_table(
        "switches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("switch_id", sa.String(length=64), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("platform", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_user", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["by_user"], ["users.id"], name=op.f("fk_switches_by_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_switches")),
        sa.UniqueConstraint("switch_id", name=op.f("uq_switches_switch_id")),
    )
    op.add_column("cases", sa.Column("language", sa.String(length=2), server_default="zh", nullable=False))
    op.add_column("cases", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("clock", sa.String(length=64), nullable=True))
    op.add_column("cases", sa.Column("priority", sa.Float(), server_default="0", nullable=False))
    op.add_column("cases", sa.Column("blind", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("cases", sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("rule_pack", sa.String(length=64), nullable=True))
    op.add_column("cases", sa.Column("ruling", sa.String(length=32), nullable=True))
    op.add_column(
        "cases", sa.Column("assigned_to", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.create_index(op.f("ix_cases_assigned_to_status"), "cases", ["assigned_to", "status"], unique=False)
    op.create_index(
        op.f("ix_cases_claim_rule_pack_updated_at"), "cases", ["claim", "rule_pack", "updated_at"], unique=False
    )
    op.create_index(op.f("ix_cases_status_priority_id"), "cases", ["status", "priority", "id"], unique=False)

    _order_what_waits()


def _order_what_waits() -> None:
    """Give the cases on file a place in the new order: oldest and dearest first. None becomes blind afterwards."""
    cases = sa.table(
        "cases",
        sa.column("id", sa.BigInteger),
        sa.column("opened_at", sa.DateTime(timezone=True)),
        sa.column("paid_minor", sa.BigInteger),
        sa.column("priority", sa.Float),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(cases.c.id, cases.c.opened_at, cases.c.paid_minor)).all()
    places = [
        {"key": key, "place": opened_at.timestamp() / 86_400 - math.log(paid_minor + 1)}
        for key, opened_at, paid_minor in rows
    ]
    if places:
        connection.execute(
            sa.update(cases).where(cases.c.id == sa.bindparam("key")).values(priority=sa.bindparam("place")), places
        )


def downgrade() -> None:
    op.drop_index(op.f("ix_cases_status_priority_id"), table_name="cases")
    op.drop_index(op.f("ix_cases_claim_rule_pack_updated_at"), table_name="cases")
    op.drop_index(op.f("ix_cases_assigned_to_status"), table_name="cases")
    op.drop_column("cases", "assigned_to")
    op.drop_column("cases", "ruling")
    op.drop_column("cases", "rule_pack")
    op.drop_column("cases", "committed_at")
    op.drop_column("cases", "blind")
    op.drop_column("cases", "priority")
    op.drop_column("cases", "clock")
    op.drop_column("cases", "due_at")
    op.drop_column("cases", "language")

    op.drop_table("switches")
    op.drop_table("preferences")
    op.drop_index(op.f("ix_passes_user_key_case_key"), table_name="passes")
    op.drop_index(op.f("ix_passes_case_key"), table_name="passes")

    op.drop_table("passes")
    op.drop_index(op.f("ix_notices_state_send_after"), table_name="notices")

    op.drop_table("notices")
    op.drop_index(op.f("ix_holds_user_key_held_until"), table_name="holds")

    op.drop_table("holds")
    op.drop_index(op.f("ix_corrections_case_key"), table_name="corrections")
    op.drop_index(op.f("ix_corrections_at"), table_name="corrections")

    op.drop_table("corrections")
    op.drop_table("assignments")
    op.drop_table("appeals")
