"""The tables of work done beside the requests: leased jobs, messages to the outside, what a challenger says in shadow.

Knows no queries.
"""

import sqlalchemy as sa

from serving.columns import UtcTime, key, metadata, ref

jobs = sa.Table(
    "jobs",
    metadata,
    key(),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(128), nullable=True),
    sa.Column("run_after", UtcTime, nullable=False),
    sa.Column("due_at", UtcTime, nullable=True),
    sa.Column("leased_until", UtcTime, nullable=True),
    sa.Column("problem", sa.Text, nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("finished_at", UtcTime, nullable=True),
    sa.Index(None, "state", "run_after"),
    sa.Index(None, "subject", "state"),
)

# One retraining at a time, whoever asks and wherever it runs.
_IS_OPEN_RETRAINING = sa.and_(jobs.c.kind == "retrain", jobs.c.state.in_(("waiting", "leased")))
sa.Index(
    "uq_jobs_open_retraining",
    jobs.c.kind,
    unique=True,
    sqlite_where=_IS_OPEN_RETRAINING,
    postgresql_where=_IS_OPEN_RETRAINING,
)

outbox = sa.Table(
    "outbox",
    metadata,
    key(),
    sa.Column("message_id", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("next_at", UtcTime, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("delivered_at", UtcTime, nullable=True),
    sa.Column("problem", sa.Text, nullable=True),
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="ck_outbox_state"),
    sa.Index(None, "state", "next_at"),
    sa.Index(None, "subject", "state", "id"),
)

# What a challenger says to cases that the champion answered; no page or answer about a case reads it.
shadow_suggestions = sa.Table(
    "shadow_suggestions",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    # The champion's suggestion on the same version.
    sa.Column("suggestion_id", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(128), nullable=False),
    # JSON: probabilities, prediction_set, abstained. No evidence, no texts.
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "version", "suggestion_id", "model_version", name="uq_shadow_suggestions_answer"),
    sa.Index(None, "model_version", "id"),
)

shadow_runs = sa.Table(
    "shadow_runs",
    metadata,
    key(),
    sa.Column("on_by", sa.String(128), nullable=False),
    sa.Column("on_at", UtcTime, nullable=False),
    sa.Column("off_by", sa.String(128), nullable=True),
    sa.Column("off_at", UtcTime, nullable=True),
)
