"""Decisions by people: append-only, one standing decision a stage, undone by a withdrawal.

A stage is decided only while the case waits for it: a lead's review only where one is due, an appeal only once filed.
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

from models.clocks import evidence_deadline
from models.domain import Decision, DecisionDraft, EvidenceAsk, EvidenceAsked, Frozen
from models.errors import InputError
from models.rule_pack import shipped_rule_book
from models.vocabulary import Ruling, Stage
from serving.audit import Action
from serving.policy import DeskPolicy
from serving.records import CaseKey, CaseStatus, DecisionRecord, Role, StoredVersion, User
from serving.refusals import AlreadyDecidedError, ForbiddenError, NothingToReviewError, StaleVersionError
from serving.remedy import asked, ordered
from serving.store import order, outbox, precedents, showings, trail
from serving.tables import appeals, cases, decision_events, users

_STAGES = tuple(Stage)


class _End(Frozen):
    reason: str = ""


@dataclass(frozen=True)
class History:
    """What was decided on a case, in order, and where each stage stands."""

    records: tuple[DecisionRecord, ...]
    appealed: bool = False

    def standing(self, stage: Stage) -> Decision | None:
        return next((r.decision for r in self.records if r.state == "standing" and r.decision.stage == stage), None)

    def turn(self, stage: Stage) -> int:
        return sum(1 for r in self.records if r.decision.stage == stage and r.state != "standing")

    @property
    def status(self) -> CaseStatus:
        """The latest stage that has a standing decision says where the case stands."""
        for stage in reversed(_STAGES):
            decision = self.standing(stage)
            if decision is None:
                continue
            if decision.ruling == Ruling.REQUEST_EVIDENCE:
                return CaseStatus.AWAITING_EVIDENCE
            if stage == Stage.FIRST_REVIEW and decision.four_eyes:
                return CaseStatus.AWAITING_LEAD
            appeal_waits = self.appealed and stage != Stage.APPEAL
            return CaseStatus.APPEALED if appeal_waits else CaseStatus.DECIDED
        return CaseStatus.OPEN

    @property
    def ruling(self) -> Ruling | None:
        """The ruling of the latest stage that stands."""
        standing = (self.standing(stage) for stage in reversed(_STAGES))
        return next((decision.ruling for decision in standing if decision is not None), None)


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
    appealed = connection.execute(sa.select(appeals.c.id).where(appeals.c.case_key == case_key)).first() is not None
    return History(tuple(records), appealed)


def decide(
    connection: Connection,
    version: StoredVersion,
    draft: DecisionDraft,
    *,
    by: User,
    judged_version: int | None,
    input_digest: str,
    policy: DeskPolicy,
    at: datetime,
) -> Decision:
    """Record a person's decision on the current version.

    input_digest : of the current version, used where there is no suggestion
    A suggestion that was shown to the person counts as named, though the draft be silent about it.
    Raises ForbiddenError, StaleVersionError, AlreadyDecidedError, NothingToReviewError, InputError, DepartsError.
    """
    if policy.reason_required and not draft.reason.strip():
        raise InputError("is required", field="reason")
    key = CaseKey(version.case.platform, version.case.case_id)
    past = history(connection, version.case_key)
    _check_person(past, draft.stage, by=by)
    if past.standing(draft.stage) is not None:
        raise AlreadyDecidedError(platform=key.platform, case_id=key.case_id, stage=draft.stage)
    if judged_version is not None and judged_version != version.version:
        raise StaleVersionError(judged=judged_version, current=version.version)
    _check_stage(past, draft.stage)
    blind = is_hidden(connection, version.case_key)
    suggestion, shown = showings.meant(connection, version, draft, by=by, blind=blind)
    agreed = None if suggestion is None or suggestion.ruling is None else suggestion.ruling == draft.ruling
    on_screen = suggestion if shown else None
    told = ordered(version.case, draft, suggestion=on_screen)
    ask = asked(version.case, draft, suggestion=on_screen)
    precedents.check(connection, version.case_key, draft)
    decision = Decision(
        decision_id=uuid.uuid4().hex,
        case_id=key.case_id,
        platform=key.platform,
        case_version=version.version,
        stage=draft.stage,
        ruling=draft.ruling,
        responsible=told.responsible,
        remedy=told.remedy,
        reason=draft.reason,
        decided_by=by.name,
        decided_at=at,
        suggestion_id=suggestion.suggestion_id if suggestion else None,
        suggestion_shown=shown,
        agreed=agreed,
        model_version=suggestion.model_version if suggestion else None,
        input_digest=suggestion.input_digest if suggestion else input_digest,
        review_seconds=draft.review_seconds,
        blind=blind,
        four_eyes=draft.stage == Stage.FIRST_REVIEW and policy.needs_lead(version.case, draft.ruling),
        request=_with_deadline(version, ask, at=at) if ask is not None else None,
        distinguishes=draft.distinguishes,
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
    _commit(connection, version, decision, at=at)
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
            "blind": blind,
            "four_eyes": decision.four_eyes,
        },
        payload=decision,
    )
    outbox.put(connection, "decision", subject=str(key), body=decision, at=at)
    if decision.request is not None:
        outbox.put(connection, "evidence_request", subject=str(key), body=decision.request, at=at)
    return decision


def withdraw(
    connection: Connection,
    version: StoredVersion,
    stage: Stage,
    *,
    reason: str,
    by: User,
    policy: DeskPolicy,
    at: datetime,
) -> DecisionRecord:
    """Undo the standing decision of a stage: by whoever made it within the undo window, by a lead at any time.

    Raises NothingToReviewError when none stands or a later stage rests on it, ForbiddenError.
    """
    past = history(connection, version.case_key)
    decision = past.standing(stage)
    if decision is None:
        raise NothingToReviewError(f"no decision stands in stage {stage.value}")
    if not by.role.decides or (by.name != decision.decided_by and by.role != Role.LEAD):
        raise ForbiddenError("only the person who decided, or a lead, may withdraw a decision")
    if by.role != Role.LEAD and at > decision.decided_at + policy.undo:
        raise ForbiddenError(f"the {policy.undo_minutes:g} minutes to undo it are over; a lead may still withdraw it")
    later = next((s for s in _STAGES[_STAGES.index(stage) + 1 :] if past.standing(s) is not None), None)
    if later is not None:
        raise NothingToReviewError(f"the decision in stage {later.value} rests on it; withdraw that one first")
    _end(connection, version, decision, kind="withdrawal", reason=reason, turn=past.turn(stage), by=by, at=at)
    if decision.request is not None:
        order.place(connection, version.case_key, version.case, at=at)
    trail.record(
        connection,
        Action.DECISION_WITHDRAWN,
        actor=by.name,
        subject=f"{decision.platform}/{decision.case_id}",
        at=at,
        detail={"decision_id": decision.decision_id, "stage": stage.value},
        payload=_End(reason=reason),
    )
    record = DecisionRecord(decision=decision, state="withdrawn", ended_by=by.name, ended_at=at, end_reason=reason)
    outbox.put(connection, "withdrawal", subject=f"{decision.platform}/{decision.case_id}", body=record, at=at)
    return record


def answer_requests(
    connection: Connection, version: StoredVersion, *, by: User, at: datetime, reason: str = ""
) -> None:
    """End every standing request for evidence, because evidence or the deadline has arrived: the case is open again."""
    past = history(connection, version.case_key)
    for stage in _STAGES:
        decision = past.standing(stage)
        if decision is None or decision.ruling != Ruling.REQUEST_EVIDENCE:
            continue
        _end(connection, version, decision, kind="answered", reason=reason, turn=past.turn(stage), by=by, at=at)
        order.place(connection, version.case_key, version.case, at=at)
        trail.record(
            connection,
            Action.EVIDENCE_REQUEST_ANSWERED,
            actor=by.name,
            subject=f"{decision.platform}/{decision.case_id}",
            at=at,
            detail={"decision_id": decision.decision_id, "stage": stage.value, "version": version.version},
            payload=_End(reason=reason),
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
    if not by.role.decides:
        raise ForbiddenError(f"a decision needs an arbitrator or a lead, not the role {by.role.value}")
    if stage == Stage.LEAD_REVIEW and by.role != Role.LEAD:
        raise ForbiddenError("the lead's review needs a lead")
    earlier = {d.decided_by for s in _STAGES[: _STAGES.index(stage)] if (d := past.standing(s)) is not None}
    if by.name in earlier:
        raise ForbiddenError("a review or an appeal goes to somebody else than whoever decided before")


def _check_stage(past: History, stage: Stage) -> None:
    if past.status.stage != stage:
        raise NothingToReviewError(f"no decision in stage {stage.value} is due: the case is {past.status}")


def is_hidden(connection: Connection, case_key: int) -> bool:
    """Return whether what the machine says of a case must not show yet: it is blind and nobody has committed."""
    row = connection.execute(sa.select(cases.c.blind, cases.c.committed_at).where(cases.c.id == case_key)).one()
    return bool(row.blind and row.committed_at is None)


def _commit(connection: Connection, version: StoredVersion, decision: Decision, *, at: datetime) -> None:
    """Note that somebody has committed to a ruling: the first time for ever, a withdrawal doesn't undo it."""
    connection.execute(
        cases.update().where(cases.c.id == version.case_key, cases.c.committed_at.is_(None)).values(committed_at=at)
    )
    if decision.request is not None and decision.request.due_at is not None:
        order.wait_for_evidence(connection, version.case_key, decision.request.due_at)


def _with_deadline(version: StoredVersion, ask: EvidenceAsk, *, at: datetime) -> EvidenceAsked:
    """Return what is asked for, with the party's deadline."""
    pack = shipped_rule_book().pack_for(version.case, ruled_on=at.date())
    clock = evidence_deadline(pack, asked_at=at, party=ask.party)
    due_at = clock.due_at if clock is not None else None
    return EvidenceAsked(party=ask.party, what=ask.what, text=ask.text, due_at=due_at)


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
    past = history(connection, version.case_key)
    connection.execute(
        cases.update()
        .where(cases.c.id == version.case_key)
        .values(status=past.status.value, ruling=past.ruling, updated_at=at)
    )
