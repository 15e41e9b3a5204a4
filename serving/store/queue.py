"""The queue: cases in the order they should be looked at, oldest first, a page at a time."""

import base64
import binascii
import json
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.errors import InputError
from models.vocabulary import Claim, Platform, Ruling
from serving.records import CaseStatus, Queue, QueueFilter, QueuePage, QueueRow
from serving.tables import cases, suggestions


def page(connection: Connection, wanted: QueueFilter, *, cursor: str | None, limit: int) -> QueuePage:
    """Return at most `limit` cases after `cursor`. Raises InputError on a cursor that isn't ours."""
    newest = (
        sa.select(sa.func.max(suggestions.c.id))
        .where(suggestions.c.case_key == cases.c.id, suggestions.c.version == cases.c.version)
        .correlate(cases)
        .scalar_subquery()
    )
    query = (
        sa.select(cases, suggestions.c.ruling, suggestions.c.confidence)
        .outerjoin(suggestions, suggestions.c.id == newest)
        .where(*_conditions(wanted))
        .order_by(cases.c.opened_at, cases.c.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        opened_at, last = _decode(cursor)
        query = query.where(
            sa.or_(cases.c.opened_at > opened_at, sa.and_(cases.c.opened_at == opened_at, cases.c.id > last))
        )
    rows = list(connection.execute(query))
    shown = rows[:limit]
    more = len(rows) > limit
    return QueuePage(
        cases=tuple(
            QueueRow(
                platform=Platform(row.platform),
                case_id=row.case_id,
                claim=Claim(row.claim),
                requested=row.requested,
                title=row.title,
                opened_at=row.opened_at,
                paid_minor=row.paid_minor,
                currency=row.currency,
                status=CaseStatus(row.status),
                version=row.version,
                suggestion_state=row.suggestion_state,
                ruling=Ruling(row.ruling) if row.ruling else None,
                confidence=row.confidence,
            )
            for row in shown
        ),
        next_cursor=_encode(shown[-1].opened_at, shown[-1].id) if more else None,
    )


def counts(connection: Connection) -> dict[CaseStatus, int]:
    """Return how many cases are in each status."""
    rows = connection.execute(sa.select(cases.c.status, sa.func.count()).group_by(cases.c.status))
    found = {CaseStatus(status): int(n) for status, n in rows}
    return {status: found.get(status, 0) for status in CaseStatus}


def _conditions(wanted: QueueFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    for column, value in (
        (cases.c.claim, wanted.claim),
        (cases.c.platform, wanted.platform),
        (cases.c.status, wanted.status),
    ):
        if value is not None:
            conditions.append(column == value.value)
    if wanted.within:
        conditions.append(sa.or_(*(_in_queue(queue) for queue in wanted.within)))
    if wanted.min_paid_minor is not None:
        conditions.append(cases.c.paid_minor >= wanted.min_paid_minor)
    if wanted.max_paid_minor is not None:
        conditions.append(cases.c.paid_minor <= wanted.max_paid_minor)
    return conditions


def _in_queue(queue: Queue) -> sa.ColumnElement[bool]:
    named = ((cases.c.platform, queue.platform), (cases.c.claim, queue.claim))
    return sa.and_(sa.true(), *(column == value.value for column, value in named if value is not None))


def _encode(opened_at: datetime, last: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([opened_at.isoformat(), last]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, int]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        opened_at, last = json.loads(raw)
        moment = datetime.fromisoformat(opened_at)
        if moment.tzinfo is None or isinstance(last, bool) or not isinstance(last, int) or abs(last) > 2**62:
            raise ValueError("not a cursor")
        return moment, last
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError) as error:
        raise InputError("is not a cursor of this queue", field="cursor") from error
