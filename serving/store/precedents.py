"""Earlier rulings on comparable cases under the same rule version (同案同判): found by facts, never by a score.

Comparable is measured on claim, rule pack, what was asked, the goods' state, how it was signed for, category, sum and
title. Knows no model.
"""

import math
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Case
from models.vocabulary import LogisticsEventKind, Platform, Ruling
from serving.desk_records import Precedent
from serving.records import CaseStatus
from serving.tables import case_versions, cases

_LOOKED_AT = 80
_COMPARABLE = 0.7


def nearest(connection: Connection, case_key: int, case: Case, *, limit: int = 3) -> tuple[Precedent, ...]:
    """Return the most alike decided cases among the newest, the nearest first; only ones alike enough to compare."""
    row = connection.execute(sa.select(cases.c.rule_pack).where(cases.c.id == case_key)).one()
    query = (
        sa.select(cases, case_versions.c.payload)
        .join(
            case_versions,
            sa.and_(case_versions.c.case_key == cases.c.id, case_versions.c.version == cases.c.version),
        )
        .where(
            cases.c.claim == case.claim.value,
            cases.c.rule_pack == row.rule_pack,
            cases.c.status == CaseStatus.DECIDED.value,
            cases.c.id != case_key,
        )
        .order_by(cases.c.updated_at.desc())
        .limit(_LOOKED_AT)
    )
    found = [(likeness(case, Case.model_validate_json(other.payload)), other) for other in connection.execute(query)]
    near = sorted((item for item in found if item[0] >= _COMPARABLE), key=lambda item: -item[0])
    return tuple(_precedent(score, other) for score, other in near[:limit] if other.ruling)


def likeness(one: Case, other: Case) -> float:
    """Return how alike the facts of two cases of one claim are, in [0, 1]."""
    sums = [max(case.order.paid_minor, 1) for case in (one, other)]
    points = (
        one.requested == other.requested,
        one.order.goods_state == other.order.goods_state,
        (one.order.receipt_confirmed_at is None) == (other.order.receipt_confirmed_at is None),
        _signed_by(one) == _signed_by(other),
        one.listing.category == other.listing.category,
        math.exp(-abs(math.log(sums[0] / sums[1]))),
        _shared(one.listing.title, other.listing.title),
    )
    return sum(float(point) for point in points) / len(points)


def _signed_by(case: Case) -> str | None:
    return next((event.by for event in reversed(case.logistics) if event.event == LogisticsEventKind.SIGNED), None)


def _shared(one: str, other: str) -> float:
    first, second = ({text[n : n + 2] for n in range(len(text) - 1)} for text in (one.lower(), other.lower()))
    return len(first & second) / len(first | second) if first | second else 1.0


def _precedent(score: float, row: Any) -> Precedent:
    decided_at: datetime = row.updated_at
    return Precedent(
        platform=Platform(row.platform),
        case_id=row.case_id,
        title=row.title,
        ruling=Ruling(row.ruling),
        decided_at=decided_at,
        likeness=round(score, 3),
    )
