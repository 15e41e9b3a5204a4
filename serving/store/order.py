"""Where a case stands in the queue: its clock, its language, its place. Kept beside the case and renewed with it."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.case_language import language_of
from models.clocks import running_clock
from models.domain import Case, Suggestion
from models.rule_pack import shipped_rule_book
from serving.policy import due_at, priority
from serving.tables import cases, decision_events

EVIDENCE_ASKED = "evidence:step_failed"
"""The clock of a party that was asked for evidence."""


def place(connection: Connection, case_key: int, case: Case, *, at: datetime) -> None:
    """Give a case its place by its own clock, which stood still while a party was asked for evidence."""
    columns = standing(case, at=at, stood_still=_stood_still(connection, case_key))
    connection.execute(cases.update().where(cases.c.id == case_key).values(**columns))


def standing(case: Case, *, at: datetime, stood_still: timedelta = timedelta()) -> dict[str, Any]:
    """Return the columns that order a case: what runs out when, and how much hangs on it."""
    pack = shipped_rule_book().pack_for(case, ruled_on=at.date())
    clock = running_clock(case, pack)
    runs_out_at = due_at(case, clock) + stood_still
    return {
        "language": language_of(case),
        "due_at": runs_out_at,
        "clock": f"{clock.name}:{clock.by_itself}" if clock is not None else None,
        "rule_pack": pack.name,
        "priority": priority(
            due_at=runs_out_at, paid_minor=case.order.paid_minor, currency=case.order.currency, uncertainty=None
        ),
    }


def _stood_still(connection: Connection, case_key: int) -> timedelta:
    """Return how long requests for evidence that have ended kept the case's own clock waiting."""
    asked = decision_events.alias("asked")
    query = (
        sa.select(asked.c.at.label("asked_at"), decision_events.c.at)
        .join(
            asked,
            sa.and_(
                asked.c.case_key == decision_events.c.case_key,
                asked.c.stage == decision_events.c.stage,
                asked.c.turn == decision_events.c.turn,
                asked.c.is_end.is_(False),
            ),
        )
        .where(decision_events.c.case_key == case_key, decision_events.c.kind == "answered")
    )
    return sum((row.at - row.asked_at for row in connection.execute(query)), timedelta())


def renew(connection: Connection, case_key: int, suggestion: Suggestion) -> None:
    """Let the suggestion's doubt count in the order, except where nobody may see it: on a case decided blind first."""
    row = connection.execute(sa.select(cases).where(cases.c.id == case_key)).one()
    if (row.blind and row.committed_at is None) or row.due_at is None:
        return
    place = priority(
        due_at=row.due_at,
        paid_minor=row.paid_minor,
        currency=row.currency,
        uncertainty=1 - suggestion.confidence,
    )
    connection.execute(cases.update().where(cases.c.id == case_key).values(priority=place))


def wait_for_evidence(connection: Connection, case_key: int, due_at: datetime) -> None:
    """Let the clock of the party asked for evidence run; the case's own stands still meanwhile."""
    connection.execute(cases.update().where(cases.c.id == case_key).values(due_at=due_at, clock=EVIDENCE_ASKED))
