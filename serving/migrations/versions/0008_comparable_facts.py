"""Keep what makes cases comparable beside each case, and let an index order what is assigned to a person."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008_comparable_facts"
down_revision = "0007_photo_checks"
branch_labels = None
depends_on = None

_AT_A_TIME = 1_000
_FACTS = ("goods_state", "receipt_confirmed", "signed_by", "category")
_cases = sa.table(
    "cases",
    sa.column("id", sa.BigInteger),
    sa.column("version", sa.Integer),
    sa.column("goods_state", sa.String),
    sa.column("receipt_confirmed", sa.Boolean),
    sa.column("signed_by", sa.String),
    sa.column("category", sa.Text),
)
_versions = sa.table(
    "case_versions",
    sa.column("case_key", sa.BigInteger),
    sa.column("version", sa.Integer),
    sa.column("payload", sa.Text),
)


def upgrade() -> None:
    op.add_column("cases", sa.Column("goods_state", sa.String(length=32), nullable=True))
    op.add_column("cases", sa.Column("receipt_confirmed", sa.Boolean(), nullable=True))
    op.add_column("cases", sa.Column("signed_by", sa.String(length=32), nullable=True))
    op.add_column("cases", sa.Column("category", sa.Text(), nullable=True))
    op.drop_index(op.f("ix_cases_assigned_to_status"), table_name="cases")
    op.create_index(
        op.f("ix_cases_assigned_to_status_priority_id"), "cases", ["assigned_to", "status", "priority", "id"]
    )
    op.drop_index(op.f("ix_cases_claim_rule_pack_updated_at"), table_name="cases")
    op.create_index(
        op.f("ix_cases_claim_rule_pack_status_updated_at"), "cases", ["claim", "rule_pack", "status", "updated_at"]
    )
    _read_facts()


def _read_facts() -> None:
    """Read the facts of the cases on file out of their newest versions."""
    connection, after = op.get_bind(), 0
    query = (
        sa.select(_cases.c.id, _versions.c.payload)
        .join(_versions, sa.and_(_versions.c.case_key == _cases.c.id, _versions.c.version == _cases.c.version))
        .order_by(_cases.c.id)
        .limit(_AT_A_TIME)
    )
    change = sa.update(_cases).where(_cases.c.id == sa.bindparam("key"))
    change = change.values({name: sa.bindparam(f"its_{name}") for name in _FACTS})
    while rows := connection.execute(query.where(_cases.c.id > after)).all():
        connection.execute(change, [{"key": row.id, **_facts(json.loads(row.payload))} for row in rows])
        after = rows[-1].id


def _facts(case: dict[str, Any]) -> dict[str, Any]:
    signed = [event.get("by") for event in case.get("logistics", ()) if event["event"] == "signed"]
    return {
        "its_goods_state": case["order"].get("goods_state"),
        "its_receipt_confirmed": case["order"].get("receipt_confirmed_at") is not None,
        "its_signed_by": signed[-1] if signed else None,
        "its_category": case["listing"].get("category", ""),
    }


def downgrade() -> None:
    op.drop_index(op.f("ix_cases_claim_rule_pack_status_updated_at"), table_name="cases")
    op.create_index(op.f("ix_cases_claim_rule_pack_updated_at"), "cases", ["claim", "rule_pack", "updated_at"])
    op.drop_index(op.f("ix_cases_assigned_to_status_priority_id"), table_name="cases")
    op.create_index(op.f("ix_cases_assigned_to_status"), "cases", ["assigned_to", "status"])
    for name in reversed(_FACTS):
        op.drop_column("cases", name)
