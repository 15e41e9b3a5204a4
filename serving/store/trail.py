"""The audit trail: append-only entries, written in the transaction that makes the change."""

import json
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from serving.audit import Action, AuditEvent
from serving.tables import audit_events

Detail = dict[str, str | int | float | bool | None]


def record(
    connection: Connection, action: Action, *, actor: str, subject: str, at: datetime, detail: Detail | None = None
) -> None:
    connection.execute(
        audit_events.insert().values(
            at=at,
            actor=actor,
            action=action.value,
            subject=subject,
            detail=json.dumps(detail or {}, ensure_ascii=False, sort_keys=True),
        )
    )


def entries(connection: Connection, *, subject: str | None = None, limit: int = 1000) -> list[AuditEvent]:
    """Return the oldest `limit` entries, of one subject if given."""
    query = sa.select(audit_events).order_by(audit_events.c.id).limit(limit)
    if subject is not None:
        query = query.where(audit_events.c.subject == subject)
    return [
        AuditEvent(
            at=row.at, actor=row.actor, action=Action(row.action), subject=row.subject, detail=json.loads(row.detail)
        )
        for row in connection.execute(query)
    ]
