"""Keep beside each scoring job when its case's clock runs out, so that the soonest due is scored first."""

import sqlalchemy as sa
from alembic import op

revision = "0010_soonest_due_first"
down_revision = "0009_one_retraining"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE jobs SET due_at = (SELECT cases.due_at FROM cases WHERE 'case:' || cases.id = jobs.subject) "
        "WHERE kind = 'score' AND state IN ('waiting', 'leased')"
    )


def downgrade() -> None:
    op.drop_column("jobs", "due_at")
