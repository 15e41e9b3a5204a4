"""The queue a page at a time: by what happens by itself next and how much hangs on it, or oldest first."""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.errors import InputError
from models.vocabulary import Claim, Platform, Ruling
from serving.desk_records import Switch
from serving.records import CaseKey, CaseStatus, Order, Queue, QueueFilter, QueuePage, QueueRow
from serving.store.order import EVIDENCE_ASKED
from serving.tables import cases, holds, suggestions, users


def page(
    connection: Connection,
    wanted: QueueFilter,
    *,
    cursor: str | None,
    limit: int,
    order: Order,
    at: datetime,
    off: Sequence[Switch] = (),
) -> QueuePage:
    """Return at most `limit` cases after `cursor`. Raises InputError on a cursor that isn't of this order.

    off : switches that hide the suggestions of a kind of case
    """
    ordered = cases.c.priority if order == "urgency" else cases.c.opened_at
    holders, assignees = users.alias("holders"), users.alias("assignees")
    newest = (
        sa.select(sa.func.max(suggestions.c.id))
        .where(suggestions.c.case_key == cases.c.id, suggestions.c.version == cases.c.version)
        .correlate(cases)
        .scalar_subquery()
    )
    query = (
        sa.select(
            cases,
            suggestions.c.ruling.label("suggested"),
            suggestions.c.confidence,
            holders.c.name.label("held_by"),
            assignees.c.name.label("assignee"),
        )
        .outerjoin(suggestions, suggestions.c.id == newest)
        .outerjoin(holds, sa.and_(holds.c.case_key == cases.c.id, holds.c.held_until > at))
        .outerjoin(holders, holders.c.id == holds.c.user_key)
        .outerjoin(assignees, assignees.c.id == cases.c.assigned_to)
        .where(*conditions(wanted, at=at))
        .order_by(ordered, cases.c.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        place, last = _decode(cursor, order=order)
        query = query.where(sa.or_(ordered > place, sa.and_(ordered == place, cases.c.id > last)))
    rows = list(connection.execute(query))
    shown = rows[:limit]
    more = len(rows) > limit
    return QueuePage(
        cases=tuple(_row(row, off) for row in shown),
        next_cursor=_encode(getattr(shown[-1], ordered.name), shown[-1].id, order=order) if more else None,
    )


def _row(row: Any, off: Sequence[Switch]) -> QueueRow:
    hidden = bool(row.blind and row.committed_at is None)
    silent = hidden or any(switch.covers(claim=row.claim, platform=row.platform) for switch in off)
    return QueueRow(
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
        suggestion_state="off" if silent and not hidden else row.suggestion_state,
        ruling=Ruling(row.suggested) if row.suggested and not silent else None,
        confidence=None if silent else row.confidence,
        hidden=hidden,
        language=row.language,
        due_at=row.due_at,
        clock=row.clock,
        held_by=row.held_by,
        assigned_to=row.assignee,
    )


def counts(connection: Connection) -> dict[CaseStatus, int]:
    """Return how many cases are in each status."""
    rows = connection.execute(sa.select(cases.c.status, sa.func.count()).group_by(cases.c.status))
    found = {CaseStatus(status): int(n) for status, n in rows}
    return {status: found.get(status, 0) for status in CaseStatus}


def hidden(connection: Connection) -> frozenset[CaseKey]:
    """Return the cases that are blind and that nobody has committed to a ruling on."""
    query = sa.select(cases.c.platform, cases.c.case_id).where(cases.c.blind, cases.c.committed_at.is_(None))
    return frozenset(CaseKey(Platform(row.platform), row.case_id) for row in connection.execute(query))


def lapsed(connection: Connection, *, at: datetime, limit: int = 100) -> list[CaseKey]:
    """Lock and return cases whose party let its time for evidence pass, the longest ago first.

    Cases that somebody changes just now wait on.
    """
    query = (
        sa.select(cases.c.platform, cases.c.case_id)
        .where(cases.c.status == CaseStatus.AWAITING_EVIDENCE.value, cases.c.due_at < at)
        .where(cases.c.clock == EVIDENCE_ASKED)
        .order_by(cases.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [CaseKey(Platform(row.platform), row.case_id) for row in connection.execute(query)]


def conditions(wanted: QueueFilter, *, at: datetime) -> list[sa.ColumnElement[bool]]:
    """Return what a case must be to pass the filter."""
    found: list[sa.ColumnElement[bool]] = []
    for column, value in (
        (cases.c.claim, wanted.claim),
        (cases.c.platform, wanted.platform),
        (cases.c.status, wanted.status),
    ):
        if value is not None:
            found.append(column == value.value)
    if wanted.within:
        found.append(sa.or_(*(_in_queue(queue) for queue in wanted.within)))
    if wanted.min_paid_minor is not None:
        found.append(cases.c.paid_minor >= wanted.min_paid_minor)
    if wanted.max_paid_minor is not None:
        found.append(cases.c.paid_minor <= wanted.max_paid_minor)
    if wanted.language is not None:
        found.append(cases.c.language == wanted.language)
    if wanted.overdue:
        found.append(cases.c.due_at < at)
    if wanted.assigned_to is not None:
        found.append(
            cases.c.assigned_to == sa.select(users.c.id).where(users.c.name == wanted.assigned_to).scalar_subquery()
        )
    if wanted.search:
        found.append(
            sa.or_(
                cases.c.case_id.contains(wanted.search, autoescape=True),
                cases.c.title.contains(wanted.search, autoescape=True),
            )
        )
    return found


def _in_queue(queue: Queue) -> sa.ColumnElement[bool]:
    named = ((cases.c.platform, queue.platform), (cases.c.claim, queue.claim))
    return sa.and_(sa.true(), *(column == value.value for column, value in named if value is not None))


def _encode(place: datetime | float, last: int, *, order: Order) -> str:
    said = place.isoformat() if isinstance(place, datetime) else place
    return base64.urlsafe_b64encode(json.dumps([order, said, last]).encode()).decode().rstrip("=")


def _decode(cursor: str, *, order: Order) -> tuple[datetime | float, int]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        of_order, said, last = json.loads(raw)
        if of_order != order or isinstance(last, bool) or not isinstance(last, int) or abs(last) > 2**62:
            raise ValueError("not a cursor")
        if order == "urgency":
            number = float(said)
            if not math.isfinite(number):
                raise ValueError("not a cursor")
            return number, last
        moment = datetime.fromisoformat(said)
        if moment.tzinfo is None:
            raise ValueError("not a cursor")
        return moment, last
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError) as error:
        raise InputError("is not a cursor of this queue", field="cursor") from error
