"""Keep retrainings to one at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0009_one_retraining"
down_revision = "0008_comparable_facts"
branch_labels = None
depends_on = None

_IS_OPEN = sa.text("kind = 'retrain' AND state IN ('waiting', 'leased')")


def upgrade() -> None:
    op.create_index(
        "uq_jobs_open_retraining", "jobs", ["kind"], unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
    )


def downgrade() -> None:
    op.drop_index("uq_jobs_open_retraining", table_name="jobs")
