"""The audit trail: append-only entries, written in the transaction that makes the change and chained as it commits.

Chaining last keeps the lock on the chain's end short, and no transaction waits for another while it holds it.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Frozen
from serving.audit import (
    GENESIS,
    Action,
    AuditEvent,
    AuditHead,
    Broken,
    Link,
    Verified,
    digest_content,
    digest_link,
    places_text,
    verify_chain,
)
from serving.store import payloads
from serving.tables import audit_events

Detail = dict[str, str | int | float | bool | None]

_CHAIN_LOCK = 7_316_402_119
_ROWS_AT_A_TIME = 5_000


def record(
    connection: Connection,
    action: Action,
    *,
    actor: str,
    subject: str,
    at: datetime,
    detail: Detail | None = None,
    payload: Frozen | None = None,
) -> None:
    """payload : of the row that the entry is to answer for, of an action that `payloads` knows"""
    told = (detail or {}) | ({payloads.DIGEST: payloads.digest(payload)} if payload is not None else {})
    connection.execute(
        audit_events.insert().values(
            at=at,
            actor=actor,
            action=action.value,
            subject=subject,
            detail=json.dumps(told, ensure_ascii=False, sort_keys=True),
        )
    )


def seal(connection: Connection) -> None:
    """Chain this transaction's entries to those before them; the last thing a transaction does."""
    unsealed = sa.select(audit_events).where(audit_events.c.place.is_(None)).order_by(audit_events.c.id)
    rows = connection.execute(unsealed).all()
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    last = head(connection)
    place, previous = last.place, last.digest
    sealed = []
    for row in rows:
        place += 1
        salt = secrets.token_hex(16)
        content = digest_content(row.actor, row.subject, row.detail, salt=salt)
        previous = digest_link(place=place, at=row.at, action=row.action, content_digest=content, previous=previous)
        sealed.append({"row_id": row.id, "new": place, "with_salt": salt, "content": content, "link": previous})
    connection.execute(
        audit_events.update()
        .where(audit_events.c.id == sa.bindparam("row_id"))
        .values(
            place=sa.bindparam("new"),
            salt=sa.bindparam("with_salt"),
            content_digest=sa.bindparam("content"),
            digest=sa.bindparam("link"),
        ),
        sealed,
    )


def head(connection: Connection) -> AuditHead:
    """Return the chain's end; place 0 for an empty one."""
    last = connection.execute(
        sa.select(audit_events.c.place, audit_events.c.digest)
        .where(audit_events.c.place.is_not(None))
        .order_by(audit_events.c.place.desc())
        .limit(1)
    ).first()
    return AuditHead(place=last.place, digest=last.digest) if last else AuditHead(place=0, digest=GENESIS)


def verify(connection: Connection, *, heads: Sequence[AuditHead] = ()) -> Verified | Broken:
    """Check the whole chain and the rows that its entries answer for, a few thousand entries in memory at a time."""
    loose = sa.select(sa.func.count()).select_from(audit_events).where(audit_events.c.place.is_(None))
    n_loose = connection.execute(loose).scalar_one()
    if n_loose:
        return Broken(place=None, what=f"{n_loose} entries stand outside the chain")
    found = verify_chain(_links(connection), heads=heads)
    return found if isinstance(found, Broken) else payloads.first_altered(connection) or found


def _links(connection: Connection) -> Iterator[Link]:
    columns = [audit_events.c[name] for name in Link.__dataclass_fields__]
    query = sa.select(*columns).order_by(audit_events.c.place)
    for row in connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME}):
        yield Link(*row)


def erase(
    connection: Connection,
    about: sa.ColumnElement[bool],
    *,
    erasure: str,
    actor: str,
    at: datetime,
    detail: Detail | None = None,
) -> int:
    """Erase what the entries that `about` picks say, and say so in an entry of its own; return how many there were.

    The chain keeps their salted digests. erasure, detail : what the new entry is about; mustn't tell what was erased
    """
    picked = sa.and_(about, audit_events.c.salt.is_not(None))
    places = connection.execute(sa.select(audit_events.c.place).where(picked)).scalars().all()
    connection.execute(audit_events.update().where(picked).values(actor=None, subject=None, detail=None, salt=None))
    record(
        connection,
        Action.CONTENT_ERASED,
        actor=actor,
        subject=erasure,
        at=at,
        detail={"places": places_text(places), "n_entries": len(places), **(detail or {})},
    )
    return len(places)


def entries(connection: Connection, *, subject: str | None = None, limit: int = 1000) -> list[AuditEvent]:
    """Return the oldest `limit` entries that aren't erased, of one subject if given."""
    query = (
        sa.select(audit_events)
        .where(audit_events.c.subject.is_not(None) if subject is None else audit_events.c.subject == subject)
        .order_by(audit_events.c.id)
        .limit(limit)
    )
    return [
        AuditEvent(
            at=row.at, actor=row.actor, action=Action(row.action), subject=row.subject, detail=json.loads(row.detail)
        )
        for row in connection.execute(query)
    ]
