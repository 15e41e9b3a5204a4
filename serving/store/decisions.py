"""Decisions by people: append-only, one standing decision a stage, undone by a withdrawal.

A turn of a stage begins with a decision and ends with its withdrawal, or, where the decision asked for evidence, with
the arrival of evidence. A second decision in a turn is refused here and by the database's own unique constraint.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.domain import Decision, DecisionDraft, Frozen, Remedy, Suggestion
from models.errors import InputError
from models.vocabulary import Responsible, Ruling, Stage
from serving.audit import Action
from serving.records import CaseKey, CaseStatus, DecisionRecord, Role, StoredVersion, User
from serving.refusals import AlreadyDecidedError, ForbiddenError, NothingToReviewError, StaleVersionError
from serving.store import suggestions, trail
from serving.tables import cases, decision_events, users

MAY_DECIDE = (Role.ARBITRATOR, Role.LEAD)
_STAGES = tuple(Stage)


class _End(Frozen):
    reason: str = ""


@dataclass(frozen=True)
class History:
    """What was decided on a case, in order, and where each stage stands."""

    records: tuple[DecisionRecord, ...]

    def standing(self, stage: Stage) -> Decision | None:
        return next((r.decision for r in self.records if r.state == "standing" and r.decision.stage == stage), None)

    def turn(self, stage: Stage) -> int:
        return sum(1 for r in self.records if r.decision.stage == stage and r.state != "standing")

    @property
    def status(self) -> CaseStatus:
        """The latest stage that has a standing decision says where the case stands."""
        for stage in reversed(_STAGES):
            decision = self.standing(stage)
            if decision is not None:
                asks = decision.ruling == Ruling.REQUEST_EVIDENCE
                return CaseStatus.AWAITING_EVIDENCE if asks else CaseStatus.DECIDED
        return CaseStatus.OPEN


def history(connection: Connection, case_key: int) -> History:
    query = (
        sa.select(decision_events, users.c.name)
        .join(users, users.c.id == decision_events.c.by_user)
        .where(decision_events.c.case_key == case_key)
        .order_by(decision_events.c.id)
    )
    rows = list(connection.execute(query))
    ends: dict[tuple[str, int], Any] = {(row.stage, row.turn): row for row in rows if row.is_end}
    records = []
    for row in rows:
        if row.is_end:
            continue
        decision = Decision.model_validate_json(row.payload)
        end = ends.get((row.stage, row.turn))
        if end is None:
            records.append(DecisionRecord(decision=decision, state="standing"))
        else:
            records.append(
                DecisionRecord(
                    decision=decision,
                    state="withdrawn" if end.kind == "withdrawal" else "answered",
                    ended_by=end.name,
                    ended_at=end.at,
                    end_reason=_End.model_validate_json(end.payload).reason,
                )
            )
    return History(tuple(records))


def decide(
    connection: Connection,
    version: StoredVersion,
    draft: DecisionDraft,
    *,
    by: User,
    judged_version: int | None,
    input_digest: str,
    at: datetime,
) -> Decision:
    """Record a person's decision on the current version.

    input_digest : of the current version, used where there is no suggestion
    Raises ForbiddenError, StaleVersionError, AlreadyDecidedError, NothingToReviewError, InputError.
    """
    key = CaseKey(version.case.platform, version.case.case_id)
    past = history(connection, version.case_key)
    _check_person(past, draft.stage, by=by)
    if past.standing(draft.stage) is not None:
        raise AlreadyDecidedError(platform=key.platform, case_id=key.case_id, stage=draft.stage)
    if judged_version is not None and judged_version != version.version:
        raise StaleVersionError(judged=judged_version, current=version.version)
    _check_stage(past, draft.stage)
    suggestion = _suggestion_meant(connection, version, draft)
    shown = draft.suggestion_id is not None
    agreed = None if suggestion is None or suggestion.ruling is None else suggestion.ruling == draft.ruling
    follows = suggestion if shown and agreed else None
    decision = Decision(
        decision_id=uuid.uuid4().hex,
        case_id=key.case_id,
        platform=key.platform,
        case_version=version.version,
        stage=draft.stage,
        ruling=draft.ruling,
        responsible=draft.responsible or (follows.responsible if follows else Responsible.UNDETERMINED),
        remedy=draft.remedy or (follows.remedy if follows else Remedy()),
        reason=draft.reason,
        decided_by=by.name,
        decided_at=at,
        suggestion_id=suggestion.suggestion_id if suggestion else None,
        suggestion_shown=shown,
        agreed=agreed,
        model_version=suggestion.model_version if suggestion else None,
        input_digest=suggestion.input_digest if suggestion else input_digest,
        review_seconds=draft.review_seconds,
    )
    try:
        with connection.begin_nested():
            _append(
                connection,
                version,
                decision.decision_id,
                kind="decision",
                stage=draft.stage,
                turn=past.turn(draft.stage),
                by=by,
                at=at,
                payload=decision,
            )
    except IntegrityError as error:
        raise AlreadyDecidedError(platform=key.platform, case_id=key.case_id, stage=draft.stage) from error
    _renew_status(connection, version, at=at)
    trail.record(
        connection,
        Action.DECIDED,
        actor=by.name,
        subject=str(key),
        at=at,
        detail={
            "decision_id": decision.decision_id,
            "version": version.version,
            "stage": draft.stage.value,
            "ruling": draft.ruling.value,
            "suggestion_id": decision.suggestion_id,
            "suggestion_shown": shown,
            "agreed": agreed,
        },
    )
    return decision


def withdraw(
    connection: Connection, version: StoredVersion, stage: Stage, *, reason: str, by: User, at: datetime
) -> DecisionRecord:
    """Undo the standing decision of a stage; by whoever made it, or a lead.

    Raises NothingToReviewError when none stands or a later stage rests on it, ForbiddenError.
    """
    past = history(connection, version.case_key)
    decision = past.standing(stage)
    if decision is None:
        raise NothingToReviewError(f"no decision stands in stage {stage.value}")
    if by.role not in MAY_DECIDE or (by.name != decision.decided_by and by.role != Role.LEAD):
        raise ForbiddenError("only the person who decided, or a lead, may withdraw a decision")
    later = next((s for s in _STAGES[_STAGES.index(stage) + 1 :] if past.standing(s) is not None), None)
    if later is not None:
        raise NothingToReviewError(f"the decision in stage {later.value} rests on it; withdraw that one first")
    _end(connection, version, decision, kind="withdrawal", reason=reason, turn=past.turn(stage), by=by, at=at)
    trail.record(
        connection,
        Action.DECISION_WITHDRAWN,
        actor=by.name,
        subject=f"{decision.platform}/{decision.case_id}",
        at=at,
        detail={"decision_id": decision.decision_id, "stage": stage.value},
    )
    return DecisionRecord(decision=decision, state="withdrawn", ended_by=by.name, ended_at=at, end_reason=reason)


def answer_requests(connection: Connection, version: StoredVersion, *, by: User, at: datetime) -> None:
    """End every standing request for evidence, because evidence has arrived: the case is open again."""
    past = history(connection, version.case_key)
    for stage in _STAGES:
        decision = past.standing(stage)
        if decision is None or decision.ruling != Ruling.REQUEST_EVIDENCE:
            continue
        _end(connection, version, decision, kind="answered", reason="", turn=past.turn(stage), by=by, at=at)
        trail.record(
            connection,
            Action.EVIDENCE_REQUEST_ANSWERED,
            actor=by.name,
            subject=f"{decision.platform}/{decision.case_id}",
            at=at,
            detail={"decision_id": decision.decision_id, "stage": stage.value, "version": version.version},
        )


def decided_between(connection: Connection, *, since: datetime | None, until: datetime | None) -> list[tuple[int, int]]:
    """Return (case_key, version) of every decision made in [since, until), in order; standing or not."""
    query = sa.select(decision_events).where(decision_events.c.is_end.is_(False)).order_by(decision_events.c.id)
    if since is not None:
        query = query.where(decision_events.c.at >= since)
    if until is not None:
        query = query.where(decision_events.c.at < until)
    return [(row.case_key, row.version) for row in connection.execute(query)]


def _check_person(past: History, stage: Stage, *, by: User) -> None:
    if by.role not in MAY_DECIDE:
        raise ForbiddenError(f"a decision needs an arbitrator or a lead, not the role {by.role.value}")
    if stage == Stage.LEAD_REVIEW and by.role != Role.LEAD:
        raise ForbiddenError("the lead's review needs a lead")
    first = past.standing(Stage.FIRST_REVIEW)
    if stage == Stage.APPEAL and first is not None and first.decided_by == by.name:
        raise ForbiddenError("an appeal goes to somebody else than the first arbitrator")


def _check_stage(past: History, stage: Stage) -> None:
    if stage == Stage.FIRST_REVIEW:
        later = next((s for s in _STAGES[1:] if past.standing(s) is not None), None)
        if later is not None:
            raise NothingToReviewError(f"the decision in stage {later.value} stands already")
    elif past.standing(Stage.FIRST_REVIEW) is None:
        raise NothingToReviewError(f"stage {stage.value} needs a standing decision of the first review")


def _suggestion_meant(connection: Connection, version: StoredVersion, draft: DecisionDraft) -> Suggestion | None:
    """Return the suggestion on screen or, on a blind case, the newest one, to compare with later."""
    if draft.suggestion_id is None:
        return suggestions.newest(connection, case_key=version.case_key, version=version.version)
    found = suggestions.by_id(
        connection, case_key=version.case_key, version=version.version, suggestion_id=draft.suggestion_id
    )
    if found is None:
        raise InputError(
            f"{draft.suggestion_id!r} is no suggestion for version {version.version}", field="suggestion_id"
        )
    return found


def _end(
    connection: Connection,
    version: StoredVersion,
    decision: Decision,
    *,
    kind: str,
    reason: str,
    turn: int,
    by: User,
    at: datetime,
) -> None:
    _append(
        connection,
        version,
        uuid.uuid4().hex,
        kind=kind,
        stage=decision.stage,
        turn=turn,
        by=by,
        at=at,
        payload=_End(reason=reason),
    )
    _renew_status(connection, version, at=at)


def _append(
    connection: Connection,
    version: StoredVersion,
    event_id: str,
    *,
    kind: str,
    stage: Stage,
    turn: int,
    by: User,
    at: datetime,
    payload: Frozen,
) -> None:
    connection.execute(
        decision_events.insert().values(
            event_id=event_id,
            case_key=version.case_key,
            version=version.version,
            kind=kind,
            is_end=kind != "decision",
            stage=stage.value,
            turn=turn,
            by_user=by.user_key,
            at=at,
            payload=payload.model_dump_json(),
        )
    )


def _renew_status(connection: Connection, version: StoredVersion, *, at: datetime) -> None:
    status = history(connection, version.case_key).status
    connection.execute(cases.update().where(cases.c.id == version.case_key).values(status=status.value, updated_at=at))
