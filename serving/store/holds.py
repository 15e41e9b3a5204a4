"""Holds: who has which case on the desk now, so that two people never hold one; skips and recusals.

A hold ends by itself unless its page gives signs of life. Every change of hands raises the fence.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.errors import InputError
from models.vocabulary import Platform
from serving.audit import Action
from serving.policy import DeskPolicy
from serving.records import CaseKey, CaseStatus, Hold, User
from serving.refusals import ForbiddenError, HeldError, LoadCapError, NothingToReviewError
from serving.store import trail
from serving.store.cases import row_of
from serving.tables import cases, decision_events, holds, passes, users


def of_case(connection: Connection, case_key: int, *, at: datetime) -> Hold | None:
    """Return the hold that is alive at `at`."""
    row = connection.execute(
        sa.select(holds, users.c.name)
        .join(users, users.c.id == holds.c.user_key)
        .where(holds.c.case_key == case_key, holds.c.held_until > at)
    ).first()
    if row is None:
        return None
    return Hold(held_by=row.name, taken_at=row.taken_at, held_until=row.held_until, fence=row.fence)


def check(connection: Connection, case_key: int, *, by: User, at: datetime) -> None:
    """Raises HeldError when somebody else holds the case."""
    held = of_case(connection, case_key, at=at)
    if held is not None and held.held_by != by.name:
        raise HeldError(held_by=held.held_by)


def check_recusal(connection: Connection, case_key: int, *, by: User) -> None:
    """Raises ForbiddenError for whoever recused themself from the case."""
    if is_recused(connection, case_key, by=by):
        raise ForbiddenError("you recused yourself from this case")


def is_recused(connection: Connection, case_key: int, *, by: User) -> bool:
    query = sa.select(passes.c.id).where(
        passes.c.case_key == case_key, passes.c.user_key == by.user_key, passes.c.kind == "recusal"
    )
    return connection.execute(query.limit(1)).first() is not None


def take(connection: Connection, key: CaseKey, *, by: User, policy: DeskPolicy, at: datetime) -> Hold:
    """Hold a case, or hold it longer. Raises UnknownError, ForbiddenError, HeldError, LoadCapError."""
    if not by.role.decides:
        raise ForbiddenError(f"holding a case needs an arbitrator or a lead, not the role {by.role.value}")
    row = row_of(connection, key, for_change=True)
    if CaseStatus(row.status).stage is None:
        raise NothingToReviewError(f"no decision is due: the case is {row.status}")
    check(connection, row.id, by=by, at=at)
    check_recusal(connection, row.id, by=by)
    old = connection.execute(sa.select(holds).where(holds.c.case_key == row.id)).first()
    until = at + timedelta(minutes=policy.hold_minutes)
    if old is not None and old.user_key == by.user_key and old.held_until > at:
        connection.execute(holds.update().where(holds.c.case_key == row.id).values(held_until=until))
        return Hold(held_by=by.name, taken_at=old.taken_at, held_until=until, fence=old.fence)
    if count(connection, by=by, at=at) >= policy.cases_per_person:
        raise LoadCapError(cap=policy.cases_per_person)
    fence = (old.fence if old is not None else 0) + 1
    values = {"user_key": by.user_key, "fence": fence, "taken_at": at, "held_until": until}
    try:
        with connection.begin_nested():
            if old is None:
                connection.execute(holds.insert().values(case_key=row.id, **values))
            else:
                connection.execute(holds.update().where(holds.c.case_key == row.id).values(**values))
    except IntegrityError as error:
        raise HeldError(held_by="somebody else") from error
    trail.record(connection, Action.CASE_TAKEN, actor=by.name, subject=str(key), at=at, detail={"fence": fence})
    return Hold(held_by=by.name, taken_at=at, held_until=until, fence=fence)


def release(connection: Connection, key: CaseKey, *, by: User, at: datetime) -> None:
    """Let a case go; a lead may let go somebody else's. Nothing happens where nobody holds it.

    Raises UnknownError, CaseErasedError, HeldError.
    """
    case_key = row_of(connection, key, for_change=True).id
    held = of_case(connection, case_key, at=at)
    if held is None:
        return
    if held.held_by != by.name and by.role.value != "lead":
        raise HeldError(held_by=held.held_by)
    drop(connection, case_key, at=at)
    trail.record(connection, Action.CASE_RELEASED, actor=by.name, subject=str(key), at=at)


def drop(connection: Connection, case_key: int, *, at: datetime) -> None:
    """End a hold; its row stays, so that the fence keeps rising."""
    connection.execute(
        holds.update().where(holds.c.case_key == case_key, holds.c.held_until > at).values(held_until=at)
    )


def step_aside(
    connection: Connection, key: CaseKey, *, kind: str, reason: str, by: User, policy: DeskPolicy, at: datetime
) -> None:
    """Skip a case for a while, or recuse oneself from it for good. Both need a reason, and let the case go.

    Raises UnknownError, ForbiddenError, InputError.
    """
    if not by.role.decides:
        raise ForbiddenError(f"this needs an arbitrator or a lead, not the role {by.role.value}")
    if not reason.strip():
        raise InputError("is required", field="reason")
    case_key = row_of(connection, key, for_change=True).id
    until = at + timedelta(hours=policy.skip_hours) if kind == "skip" else None
    connection.execute(
        passes.insert().values(
            case_key=case_key, user_key=by.user_key, kind=kind, reason=reason.strip(), at=at, until=until
        )
    )
    held = of_case(connection, case_key, at=at)
    if held is not None and held.held_by == by.name:
        drop(connection, case_key, at=at)
    connection.execute(
        cases.update().where(cases.c.id == case_key, cases.c.assigned_to == by.user_key).values(assigned_to=None)
    )
    action = Action.CASE_SKIPPED if kind == "skip" else Action.RECUSED
    trail.record(connection, action, actor=by.name, subject=str(key), at=at)


def count(connection: Connection, *, by: User, at: datetime) -> int:
    """Return how many cases a person holds."""
    query = sa.select(sa.func.count()).where(holds.c.user_key == by.user_key, holds.c.held_until > at)
    return int(connection.execute(query).scalar_one())


def take_next(
    connection: Connection,
    *,
    by: User,
    statuses: tuple[CaseStatus, ...],
    extra: tuple[sa.ColumnElement[bool], ...] = (),
    policy: DeskPolicy,
    at: datetime,
) -> CaseKey | None:
    """Hold the first case in the queue's order that this person may decide; what is assigned to them comes first.

    What they hold already isn't offered again. Raises LoadCapError, ForbiddenError.
    """
    found = _first(connection, by=by, statuses=statuses, extra=extra, at=at)
    if found is None:
        return None
    take(connection, found, by=by, policy=policy, at=at)
    return found


def _first(
    connection: Connection,
    *,
    by: User,
    statuses: tuple[CaseStatus, ...],
    extra: tuple[sa.ColumnElement[bool], ...],
    at: datetime,
) -> CaseKey | None:
    free = (
        ~sa.exists().where(holds.c.case_key == cases.c.id, holds.c.held_until > at),
        ~sa.exists().where(
            passes.c.case_key == cases.c.id,
            passes.c.user_key == by.user_key,
            sa.or_(passes.c.until.is_(None), passes.c.until > at),
        ),
        *extra,
    )
    for whose in (cases.c.assigned_to == by.user_key, cases.c.assigned_to.is_(None)):
        firsts = []
        for status in statuses:
            query = (
                sa.select(cases.c.platform, cases.c.case_id, cases.c.priority)
                .where(cases.c.status == status.value, whose, *free, *_not_ones_own(status, by))
                .order_by(cases.c.priority, cases.c.id)
                .limit(1)
                .with_for_update(skip_locked=True, of=cases)
            )
            row = connection.execute(query).first()
            if row is not None:
                firsts.append(row)
        if firsts:
            row = min(firsts, key=lambda found: found.priority)
            return CaseKey(Platform(row.platform), row.case_id)
    return None


def _not_ones_own(status: CaseStatus, by: User) -> tuple[sa.ColumnElement[bool], ...]:
    """A review or an appeal goes to somebody who hasn't decided on the case before."""
    if status == CaseStatus.OPEN:
        return ()
    return (
        ~sa.exists().where(
            decision_events.c.case_key == cases.c.id,
            decision_events.c.by_user == by.user_key,
            decision_events.c.is_end.is_(False),
        ),
    )
