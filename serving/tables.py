"""The tables. Portable between SQLite and PostgreSQL.

Rows of case_versions, suggestions, decision_events and audit_events are never changed or deleted, save by an erasure
of personal data. Knows no queries.
"""

import sqlalchemy as sa

from serving.columns import UtcTime, key, metadata, ref
from serving.work_tables import jobs, outbox, shadow_runs, shadow_suggestions

__all__ = ["UtcTime", "jobs", "metadata", "outbox", "shadow_runs", "shadow_suggestions"]

cases = sa.Table(
    "cases",
    metadata,
    key(),
    sa.Column("platform", sa.String(32), nullable=False),
    sa.Column("case_id", sa.String(128), nullable=False),
    sa.Column("claim", sa.String(32), nullable=False),
    sa.Column("requested", sa.String(32), nullable=False),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("paid_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("suggestion_state", sa.String(16), nullable=False),
    sa.Column("suggestion_problem", sa.Text, nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("language", sa.String(2), nullable=False, server_default="zh"),
    sa.Column("due_at", UtcTime, nullable=True),
    sa.Column("clock", sa.String(64), nullable=True),
    sa.Column("priority", sa.Float, nullable=False, server_default="0"),
    sa.Column("blind", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("committed_at", UtcTime, nullable=True),
    sa.Column("rule_pack", sa.String(64), nullable=True),
    sa.Column("ruling", sa.String(32), nullable=True),
    # What makes cases comparable, read out of the newest version.
    sa.Column("goods_state", sa.String(32), nullable=True),
    sa.Column("receipt_confirmed", sa.Boolean, nullable=True),
    sa.Column("signed_by", sa.String(32), nullable=True),
    sa.Column("category", sa.Text, nullable=True),
    # A user's key. No constraint: SQLite can't add one to a table that others refer to.
    sa.Column("assigned_to", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=True),
    sa.UniqueConstraint("platform", "case_id"),
    sa.Index(None, "status", "opened_at", "id"),
    sa.Index(None, "opened_at", "id"),
    sa.Index(None, "status", "priority", "id"),
    sa.Index(None, "claim", "rule_pack", "status", "updated_at"),
    sa.Index(None, "assigned_to", "status", "priority", "id"),
)

case_versions = sa.Table(
    "case_versions",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("content_digest", sa.String(80), nullable=False),
    sa.Column("created_by", sa.String(128), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "version"),
)

photos = sa.Table(
    "photos",
    metadata,
    sa.Column("digest", sa.String(80), primary_key=True),
    sa.Column("n_bytes", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    # Of `models.fingerprint`; null on photos from before there were any.
    sa.Column("fingerprint", sa.LargeBinary, nullable=True),
    sa.Index(None, "created_at"),
)

case_photos = sa.Table(
    "case_photos",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("photo_id", sa.String(128), nullable=False),
    sa.Column("digest", sa.String(80), sa.ForeignKey("photos.digest"), nullable=False),
    sa.UniqueConstraint("case_key", "version", "photo_id"),
    sa.Index(None, "digest"),
    sa.ForeignKeyConstraint(
        ["case_key", "version"], ["case_versions.case_key", "case_versions.version"], name="fk_case_photos_version"
    ),
)

photo_checks = sa.Table(
    "photo_checks",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "version"),
)

suggestions = sa.Table(
    "suggestions",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("suggestion_id", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(128), nullable=False),
    sa.Column("ruling", sa.String(32), nullable=True),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "version", "suggestion_id"),
)

# The first time that a suggestion was shown to a person who may decide.
showings = sa.Table(
    "showings",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("suggestion_id", sa.String(64), nullable=False),
    ref("user_key", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "version", "user_key", "suggestion_id"),
)

decision_events = sa.Table(
    "decision_events",
    metadata,
    key(),
    sa.Column("event_id", sa.String(64), nullable=False, unique=True),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("is_end", sa.Boolean, nullable=False),
    ref("by_user", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    # A turn of a stage has one decision and at most one end (withdrawn, or answered by the evidence asked for).
    # A second live decision would need the same turn, so the database itself refuses it.
    sa.UniqueConstraint("case_key", "stage", "turn", "is_end"),
    sa.CheckConstraint("kind IN ('decision', 'withdrawal', 'answered')", name="ck_decision_events_kind"),
    sa.CheckConstraint("stage IN ('first_review', 'lead_review', 'appeal')", name="ck_decision_events_stage"),
    sa.Index(None, "at"),
)

audit_events = sa.Table(
    "audit_events",
    metadata,
    key(),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    # Null once erased; the chain holds a salted digest of the three.
    sa.Column("actor", sa.String(128), nullable=True),
    sa.Column("subject", sa.String(300), nullable=True),
    sa.Column("detail", sa.Text, nullable=True),
    sa.Column("salt", sa.String(32), nullable=True),
    # Null only inside the transaction that writes the entry.
    sa.Column("place", sa.BigInteger, nullable=True, unique=True),
    sa.Column("content_digest", sa.String(64), nullable=True),
    sa.Column("digest", sa.String(64), nullable=True),
    sa.Index(None, "subject"),
)

users = sa.Table(
    "users",
    metadata,
    key(),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password_hash", sa.String(300), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("disabled_at", UtcTime, nullable=True),
    # JSON, the queues an arbitrator is kept to; null for every queue.
    sa.Column("queues", sa.Text, nullable=True),
    sa.CheckConstraint("role IN ('arbitrator', 'lead', 'auditor', 'engineer', 'service')", name="ck_users_role"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    ref("user_key", "users"),
    sa.Column("csrf_token", sa.String(64), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime, nullable=True),
)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    key(),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    ref("user_key", "users"),
    sa.Column("label", sa.String(128), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=True),
    sa.Column("revoked_at", UtcTime, nullable=True),
    # Words with blanks between; null for all that the user's role may do.
    sa.Column("scopes", sa.String(200), nullable=True),
)

sign_in_links = sa.Table(
    "sign_in_links",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    ref("user_key", "users"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("used_at", UtcTime, nullable=True),
    sa.Column("kind", sa.String(16), nullable=False, server_default="sign_in"),
)

sign_in_attempts = sa.Table(
    "sign_in_attempts",
    metadata,
    sa.Column("name_digest", sa.String(64), primary_key=True),
    sa.Column("n_failed", sa.Integer, nullable=False),
    sa.Column("last_at", UtcTime, nullable=False),
    sa.Column("locked_until", UtcTime, nullable=True),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    key(),
    ref("user_key", "users"),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("request_digest", sa.String(80), nullable=False),
    sa.Column("answer", sa.Text, nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held_until", UtcTime, nullable=True),
    # Set in the transaction that makes the request's change.
    sa.Column("done_at", UtcTime, nullable=True),
    sa.UniqueConstraint("user_key", "key"),
)

corrections = sa.Table(
    "corrections",
    metadata,
    key(),
    sa.Column("correction_id", sa.String(64), nullable=False, unique=True),
    ref("case_key", "cases"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("suggestion_id", sa.String(64), nullable=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("ref", sa.String(300), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    ref("by_user", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("withdrawn_at", UtcTime, nullable=True),
    sa.CheckConstraint("kind IN ('statement', 'photo', 'listing_match')", name="ck_corrections_kind"),
    sa.Index(None, "case_key"),
    sa.Index(None, "at"),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column(
        "case_key", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.ForeignKey("cases.id"), primary_key=True
    ),
    ref("user_key", "users"),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("taken_at", UtcTime, nullable=False),
    sa.Column("held_until", UtcTime, nullable=False),
    sa.Index(None, "user_key", "held_until"),
)

passes = sa.Table(
    "passes",
    metadata,
    key(),
    ref("case_key", "cases"),
    ref("user_key", "users"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("until", UtcTime, nullable=True),
    sa.CheckConstraint("kind IN ('skip', 'recusal')", name="ck_passes_kind"),
    sa.Index(None, "user_key", "case_key"),
    sa.Index(None, "case_key"),
)

appeals = sa.Table(
    "appeals",
    metadata,
    key(),
    ref("case_key", "cases"),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("filed_by", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    ref("by_user", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.UniqueConstraint("case_key", "turn"),
)

notices = sa.Table(
    "notices",
    metadata,
    key(),
    sa.Column("notice_id", sa.String(64), nullable=False, unique=True),
    ref("case_key", "cases"),
    sa.Column("decision_id", sa.String(64), nullable=False, unique=True),
    sa.Column("zh", sa.Text, nullable=False),
    sa.Column("en", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("send_after", UtcTime, nullable=False),
    sa.Column("edited_by", sa.String(128), nullable=True),
    sa.Column("edited_at", UtcTime, nullable=True),
    sa.Column("sent_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('draft', 'sent', 'void')", name="ck_notices_state"),
    sa.Index(None, "state", "send_after"),
)

assignments = sa.Table(
    "assignments",
    metadata,
    key(),
    sa.Column("batch_id", sa.String(64), nullable=False),
    ref("case_key", "cases"),
    ref("user_key", "users"),
    ref("previous_key", "users", nullable=True),
    ref("by_user", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("undone_at", UtcTime, nullable=True),
    sa.UniqueConstraint("batch_id", "case_key"),
)

switches = sa.Table(
    "switches",
    metadata,
    key(),
    sa.Column("switch_id", sa.String(64), nullable=False, unique=True),
    sa.Column("claim", sa.String(32), nullable=True),
    sa.Column("platform", sa.String(32), nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    ref("by_user", "users"),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime, nullable=True),
    sa.Column("ended_by", sa.String(128), nullable=True),
)

preferences = sa.Table(
    "preferences",
    metadata,
    key(),
    ref("user_key", "users"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.UniqueConstraint("user_key", "kind", "name"),
    sa.CheckConstraint("kind IN ('shortcut', 'view')", name="ck_preferences_kind"),
)
