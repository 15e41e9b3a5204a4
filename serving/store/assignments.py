"""Bulk assignment: waiting cases dealt to people by load, looked at before it is done, undone as a whole."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.errors import InputError
from models.vocabulary import Platform
from serving.audit import Action
from serving.desk_records import Assigned, Assignment, AssignmentDraft
from serving.records import CaseStatus, QueueFilter, Role, User
from serving.refusals import ForbiddenError, UnknownError
from serving.store import queue, trail, users
from serving.tables import assignments, cases, passes


def deal(connection: Connection, draft: AssignmentDraft, *, by: User, at: datetime) -> Assignment:
    """Deal the most urgent unassigned open cases to the people named, the least loaded first.

    Nobody gets a case they recused themselves from, nor more than `at_most_each` in all. Cases that somebody changes
    just now are left out. A preview changes nothing and has no batch_id.
    Raises ForbiddenError, InputError on a name that can't decide.
    """
    if by.role != Role.LEAD:
        raise ForbiddenError(f"assigning needs a lead, not the role {by.role.value}")
    people = [_person(connection, name) for name in dict.fromkeys(draft.people)]
    load = {person.user_key: _load(connection, person) for person in people}
    recused = {
        (row.case_key, row.user_key)
        for row in connection.execute(sa.select(passes.c.case_key, passes.c.user_key).where(passes.c.kind == "recusal"))
    }
    wanted = QueueFilter(claim=draft.claim, platform=draft.platform, language=draft.language)
    query = (
        sa.select(cases.c.id, cases.c.platform, cases.c.case_id)
        .where(cases.c.status == CaseStatus.OPEN.value, cases.c.assigned_to.is_(None))
        .where(*queue.conditions(wanted, at=at))
        .order_by(cases.c.priority, cases.c.id)
        .limit(draft.at_most)
        .with_for_update(skip_locked=True)
    )
    batch_id, dealt = uuid.uuid4().hex, []
    for row in connection.execute(query).all():
        able = [
            person
            for person in people
            if (row.id, person.user_key) not in recused and load[person.user_key] < draft.at_most_each
        ]
        if not able:
            continue
        person = min(able, key=lambda candidate: load[candidate.user_key])
        load[person.user_key] += 1
        dealt.append(Assigned(platform=Platform(row.platform), case_id=row.case_id, to=person.name))
        if not draft.preview:
            _assign(connection, batch_id, row.id, person, by=by, at=at)
    if draft.preview or not dealt:
        return Assignment(batch_id=None, assigned=tuple(dealt))
    trail.record(
        connection,
        Action.CASES_ASSIGNED,
        actor=by.name,
        subject=f"assignment:{batch_id}",
        at=at,
        detail={"n_cases": len(dealt)},
    )
    return Assignment(batch_id=batch_id, assigned=tuple(dealt))


def undo(connection: Connection, batch_id: str, *, by: User, at: datetime) -> int:
    """Take a batch back; cases decided or dealt anew since stay as they are. Returns how many were taken back.

    Raises ForbiddenError, UnknownError.
    """
    if by.role != Role.LEAD:
        raise ForbiddenError(f"assigning needs a lead, not the role {by.role.value}")
    query = sa.select(assignments).where(assignments.c.batch_id == batch_id).order_by(assignments.c.case_key)
    rows = connection.execute(query).all()
    if not rows:
        raise UnknownError("assignment", batch_id)
    undone = 0
    for row in rows:
        undone += connection.execute(
            cases.update()
            .where(
                cases.c.id == row.case_key,
                cases.c.assigned_to == row.user_key,
                cases.c.status == CaseStatus.OPEN.value,
            )
            .values(assigned_to=row.previous_key)
        ).rowcount
    connection.execute(assignments.update().where(assignments.c.batch_id == batch_id).values(undone_at=at))
    trail.record(
        connection,
        Action.ASSIGNMENT_UNDONE,
        actor=by.name,
        subject=f"assignment:{batch_id}",
        at=at,
        detail={"n_cases": undone},
    )
    return undone


def _assign(connection: Connection, batch_id: str, case_key: int, person: User, *, by: User, at: datetime) -> None:
    connection.execute(cases.update().where(cases.c.id == case_key).values(assigned_to=person.user_key))
    connection.execute(
        assignments.insert().values(
            batch_id=batch_id,
            case_key=case_key,
            user_key=person.user_key,
            previous_key=None,
            by_user=by.user_key,
            at=at,
        )
    )


def _person(connection: Connection, name: str) -> User:
    try:
        person = users.named(connection, name)
    except UnknownError as error:
        raise InputError(f"no user {name!r} is known", field="people") from error
    if not person.role.decides:
        raise InputError(f"{name!r} can't decide", field="people")
    return person


def _load(connection: Connection, person: User) -> int:
    query = sa.select(sa.func.count()).where(
        cases.c.assigned_to == person.user_key, cases.c.status == CaseStatus.OPEN.value
    )
    return int(connection.execute(query).scalar_one())
