"""Suggestions by case version, append-only. The current one is the newest of the case's current version."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Suggestion
from serving.audit import Action
from serving.records import CaseKey, CaseStatus
from serving.store import jobs, order, trail
from serving.tables import cases, suggestions


def newest(
    connection: Connection, *, case_key: int, version: int, among: Collection[str] | None = None
) -> Suggestion | None:
    """among : ids of suggestions; None for all"""
    query = (
        sa.select(suggestions.c.payload)
        .where(suggestions.c.case_key == case_key, suggestions.c.version == version)
        .order_by(suggestions.c.id.desc())
        .limit(1)
    )
    if among is not None:
        query = query.where(suggestions.c.suggestion_id.in_(among))
    payload = connection.execute(query).scalar_one_or_none()
    return Suggestion.model_validate_json(payload) if payload is not None else None


def by_id(connection: Connection, *, case_key: int, version: int, suggestion_id: str) -> Suggestion | None:
    query = sa.select(suggestions.c.payload).where(
        suggestions.c.case_key == case_key,
        suggestions.c.version == version,
        suggestions.c.suggestion_id == suggestion_id,
    )
    payload = connection.execute(query).scalar_one_or_none()
    return Suggestion.model_validate_json(payload) if payload is not None else None


def keep(
    connection: Connection,
    suggestion: Suggestion,
    *,
    key: CaseKey,
    case_key: int,
    version: int,
    actor: str,
    at: datetime,
) -> bool:
    """Store a suggestion for a version that must still be current; the same one again changes nothing.

    Returns whether the version is still current; if not, or if the case was erased, nothing is stored.
    """
    current = connection.execute(
        sa.select(cases.c.version, cases.c.status).where(cases.c.id == case_key).with_for_update()
    ).one()
    if current.version != version or current.status == CaseStatus.ERASED:
        return False
    known = by_id(connection, case_key=case_key, version=version, suggestion_id=suggestion.suggestion_id)
    if known is None:
        connection.execute(
            suggestions.insert().values(
                case_key=case_key,
                version=version,
                suggestion_id=suggestion.suggestion_id,
                model_version=suggestion.model_version,
                ruling=suggestion.ruling,
                confidence=suggestion.confidence,
                payload=suggestion.model_dump_json(),
                created_at=at,
            )
        )
        trail.record(
            connection,
            Action.SUGGESTION_STORED,
            actor=actor,
            subject=str(key),
            at=at,
            detail={
                "version": version,
                "suggestion_id": suggestion.suggestion_id,
                "model_version": suggestion.model_version,
                "input_digest": suggestion.input_digest,
            },
        )
    jobs.drop_waiting(connection, case_key=case_key, at=at)
    connection.execute(
        cases.update().where(cases.c.id == case_key).values(suggestion_state="ready", suggestion_problem=None)
    )
    order.renew(connection, case_key, suggestion)
    return True


def mark_failed(
    connection: Connection, *, key: CaseKey, case_key: int, version: int, problem: str, actor: str, at: datetime
) -> None:
    """Say on the case that scoring this version failed for good, if it is still the current version."""
    changed = connection.execute(
        cases.update()
        .where(cases.c.id == case_key, cases.c.version == version)
        .values(suggestion_state="failed", suggestion_problem=problem)
    )
    if changed.rowcount:
        trail.record(
            connection,
            Action.SUGGESTION_FAILED,
            actor=actor,
            subject=str(key),
            at=at,
            detail={"version": version, "problem": problem[:300]},
        )


def mark_off(connection: Connection, *, key: CaseKey, case_key: int, version: int, actor: str, at: datetime) -> None:
    """Say on the case that nothing is suggested because suggestions of its kind are switched off."""
    changed = connection.execute(
        cases.update().where(cases.c.id == case_key, cases.c.version == version).values(suggestion_state="off")
    )
    if changed.rowcount:
        trail.record(
            connection,
            Action.SUGGESTION_WITHHELD,
            actor=actor,
            subject=str(key),
            at=at,
            detail={"version": version},
        )
