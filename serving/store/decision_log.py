"""Every decision ever made, standing or not, a page at a time, for people who look over others' shoulders."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Decision
from models.vocabulary import Platform
from serving.desk_records import DecisionRow, Pass
from serving.records import QueueFilter
from serving.tables import cases, decision_events, passes, users


def page(
    connection: Connection, *, after: int, limit: int, wanted: QueueFilter, by: str | None = None, newest: bool = False
) -> list[DecisionRow]:
    """Return decisions in the order they were made (or the newest first), those after the row `after`.

    by : only this person's
    """
    ends = decision_events.alias("ends")
    query = (
        sa.select(decision_events, cases.c.claim, ends.c.kind.label("ended"))
        .join(cases, cases.c.id == decision_events.c.case_key)
        .join(users, users.c.id == decision_events.c.by_user)
        .outerjoin(
            ends,
            sa.and_(
                ends.c.case_key == decision_events.c.case_key,
                ends.c.stage == decision_events.c.stage,
                ends.c.turn == decision_events.c.turn,
                ends.c.is_end.is_(True),
            ),
        )
        .where(decision_events.c.is_end.is_(False), decision_events.c.id > after)
        .order_by(decision_events.c.id.desc() if newest else decision_events.c.id)
        .limit(limit)
    )
    if wanted.claim is not None:
        query = query.where(cases.c.claim == wanted.claim.value)
    if wanted.platform is not None:
        query = query.where(cases.c.platform == wanted.platform.value)
    if by is not None:
        query = query.where(users.c.name == by)
    return [
        DecisionRow(
            row=row.id,
            claim=row.claim,
            state={None: "standing", "withdrawal": "withdrawn"}.get(row.ended, "answered"),
            decision=Decision.model_validate_json(row.payload),
        )
        for row in connection.execute(query)
    ]


def set_aside(connection: Connection, *, limit: int) -> Iterator[Pass]:
    """Yield skips and recusals with their reasons, the newest first."""
    query = (
        sa.select(passes, cases.c.platform, cases.c.case_id, users.c.name)
        .join(cases, cases.c.id == passes.c.case_key)
        .join(users, users.c.id == passes.c.user_key)
        .order_by(passes.c.id.desc())
        .limit(limit)
    )
    for row in connection.execute(query):
        yield Pass(
            platform=Platform(row.platform),
            case_id=row.case_id,
            kind=row.kind,
            reason=row.reason,
            by=row.name,
            at=row.at,
        )
