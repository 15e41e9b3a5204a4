"""Decisions as outcomes: which one stands, with the case version it was made on, and which one was the first.

Erased cases don't leave.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Decision
from models.vocabulary import Stage
from serving.records import CaseStatus, ExportedDecision
from serving.store import decisions, showings
from serving.store.cases import version_of
from serving.tables import cases, decision_events


def standing_between(
    connection: Connection, *, since: datetime | None, until: datetime | None
) -> list[ExportedDecision]:
    """Return the decisions of [since, until) that stand: a case's last standing stage only."""
    touched = decisions.decided_between(connection, since=since, until=until)
    return [
        exported
        for case_key in dict.fromkeys(case_key for case_key, _ in touched)
        if (exported := _standing(connection, case_key)) is not None
        and (since is None or exported.decision.decided_at >= since)
        and (until is None or exported.decision.decided_at < until)
    ]


def first_rulings(connection: Connection, case_keys: Sequence[int]) -> dict[tuple[int, int], Decision]:
    """Return the first decision on each of these cases' versions, by (case, version), whatever was ruled later."""
    query = (
        sa.select(decision_events.c.case_key, decision_events.c.version, decision_events.c.payload)
        .where(
            decision_events.c.is_end.is_(False),
            decision_events.c.stage == Stage.FIRST_REVIEW.value,
            decision_events.c.case_key.in_(case_keys),
        )
        .order_by(decision_events.c.id)
    )
    firsts: dict[tuple[int, int], Decision] = {}
    for row in connection.execute(query):
        firsts.setdefault((row.case_key, row.version), Decision.model_validate_json(row.payload))
    return firsts


def _standing(connection: Connection, case_key: int) -> ExportedDecision | None:
    past = decisions.history(connection, case_key)
    standing = [r.decision for r in past.records if r.state == "standing"]
    if not standing or _is_erased(connection, case_key):
        return None
    last = max(standing, key=lambda decision: list(Stage).index(decision.stage))
    first = past.standing(Stage.FIRST_REVIEW)
    led = past.standing(Stage.LEAD_REVIEW)
    reviewed = led or first
    judged = [r.decision for r in past.records if r.decision.case_version == last.case_version]
    seen_before = any(
        r.decision.suggestion_shown for r in past.records if r.decision.case_version < last.case_version
    ) or any(
        showings.shown_before(connection, case_key, version=last.case_version, to=one.decided_by)
        for one in (judged[0], last)
    )
    return ExportedDecision(
        last,
        version_of(connection, case_key=case_key, version=last.case_version),
        overturned_on_appeal=reviewed.ruling != last.ruling if reviewed and last.stage == Stage.APPEAL else None,
        changed_on_lead_review=first.ruling != led.ruling if first and led else None,
        blind_ruling=None if seen_before or judged[0].suggestion_shown else judged[0].ruling,
        seen_before=seen_before,
    )


def _is_erased(connection: Connection, case_key: int) -> bool:
    status = connection.execute(sa.select(cases.c.status).where(cases.c.id == case_key)).scalar_one()
    return bool(status == CaseStatus.ERASED)
