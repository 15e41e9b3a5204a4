"""Earlier rulings on comparable cases under the same rule version (同案同判): found by facts, never by a score.

Comparable is measured on claim, rule pack, what was asked, the goods' state, how it was signed for, category, sum and
title. The facts are columns of their own, so that no case file is read. Knows no model.
"""

import math
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Case, DecisionDraft
from models.vocabulary import Claim, LogisticsEventKind, Platform, Ruling
from serving.desk_records import Precedent, Precedents
from serving.records import CaseStatus, User
from serving.refusals import DepartsError
from serving.tables import cases

_LOOKED_AT = 80
_ENOUGH_TO_COMPARE = 2
_COMPARABLE = 0.7
_SAME = ("requested", "goods_state", "receipt_confirmed", "signed_by", "category")
_SHOWN = ("platform", "case_id", "title", "paid_minor", "ruling", "updated_at")


def facts_of(case: Case) -> dict[str, Any]:
    """Return the columns that make a case comparable, beside those that the queue shows."""
    signed_by = (event.by for event in reversed(case.logistics) if event.event == LogisticsEventKind.SIGNED)
    return {
        "goods_state": case.order.goods_state.value,
        "receipt_confirmed": case.order.receipt_confirmed_at is not None,
        "signed_by": next(signed_by, None),
        "category": case.listing.category,
    }


def comparable(connection: Connection, row: Any) -> Precedents:
    """Return the rulings comparable with a row of `cases`, and what is usual there."""
    near = nearest(connection, row)
    rulings = {precedent.ruling for precedent in near}
    usual = rulings.pop() if len(near) >= _ENOUGH_TO_COMPARE and len(rulings) == 1 else None
    return Precedents(nearest=near, usual=usual)


def as_seen_by(reader: User, found: Precedents, *, claim: Claim) -> Precedents:
    """Return the precedents of a claim, those outside the reader's queues without name and title."""
    nearest = tuple(
        one if reader.sees(one.platform, claim) else one.model_copy(update={"case_id": None, "title": None})
        for one in found.nearest
    )
    return found.model_copy(update={"nearest": nearest})


def check(connection: Connection, case_key: int, draft: DecisionDraft) -> None:
    """A final ruling other than all comparable ones must say what distinguishes the case. Raises DepartsError."""
    if draft.ruling == Ruling.REQUEST_EVIDENCE or draft.distinguishes.strip():
        return
    usual = comparable(connection, connection.execute(sa.select(cases).where(cases.c.id == case_key)).one()).usual
    if usual is not None and usual != draft.ruling:
        raise DepartsError(usual=usual)


def nearest(connection: Connection, row: Any, *, limit: int = 3) -> tuple[Precedent, ...]:
    """Return the most alike decided cases among the newest, the nearest first; only ones alike enough to compare.

    row : of the case that they are compared with
    """
    query = (
        sa.select(*(cases.c[name] for name in (*_SAME, *_SHOWN)))
        .where(
            cases.c.claim == row.claim,
            cases.c.rule_pack == row.rule_pack,
            cases.c.status == CaseStatus.DECIDED.value,
            cases.c.id != row.id,
        )
        .order_by(cases.c.updated_at.desc())
        .limit(_LOOKED_AT)
    )
    found = [(likeness(row, other), other) for other in connection.execute(query)]
    near = sorted((item for item in found if item[0] >= _COMPARABLE), key=lambda item: -item[0])
    return tuple(_precedent(score, other) for score, other in near[:limit] if other.ruling)


def likeness(one: Any, other: Any) -> float:
    """Return how alike the facts of two cases of one claim are, in [0, 1]. Each is a row of `cases`."""
    sums = [max(row.paid_minor, 1) for row in (one, other)]
    points = (
        *(getattr(one, name) == getattr(other, name) for name in _SAME),
        math.exp(-abs(math.log(sums[0] / sums[1]))),
        _shared(one.title, other.title),
    )
    return sum(float(point) for point in points) / len(points)


def _shared(one: str, other: str) -> float:
    first, second = ({text[n : n + 2] for n in range(len(text) - 1)} for text in (one.lower(), other.lower()))
    return len(first & second) / len(first | second) if first | second else 1.0


def _precedent(score: float, row: Any) -> Precedent:
    return Precedent(
        platform=Platform(row.platform),
        case_id=row.case_id,
        title=row.title,
        ruling=Ruling(row.ruling),
        decided_at=row.updated_at,
        likeness=round(score, 3),
    )
