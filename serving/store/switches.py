"""The kill switch: no suggestion is shown or computed for a claim, a platform, or both, until it is ended."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.vocabulary import Claim, Platform
from serving.audit import Action
from serving.desk_records import Switch, SwitchDraft
from serving.records import CaseStatus, Role, User
from serving.refusals import ForbiddenError, UnknownError
from serving.store import jobs, trail
from serving.tables import cases, switches, users


def switch_off(connection: Connection, draft: SwitchDraft, *, by: User, at: datetime) -> Switch:
    """Switch suggestions off. Raises ForbiddenError."""
    _check(by)
    switch_id = uuid.uuid4().hex
    connection.execute(
        switches.insert().values(
            switch_id=switch_id,
            claim=draft.claim,
            platform=draft.platform,
            reason=draft.reason,
            by_user=by.user_key,
            at=at,
        )
    )
    trail.record(
        connection,
        Action.SUGGESTIONS_SWITCHED_OFF,
        actor=by.name,
        subject=f"switch:{switch_id}",
        at=at,
        detail={"claim": draft.claim, "platform": draft.platform},
    )
    return one(connection, switch_id)


def switch_on(connection: Connection, switch_id: str, *, by: User, at: datetime) -> Switch:
    """End a switch; open cases that were left unscored are scored. Raises UnknownError, ForbiddenError."""
    _check(by)
    found = one(connection, switch_id)
    if found.ended_at is not None:
        return found
    connection.execute(switches.update().where(switches.c.switch_id == switch_id).values(ended_at=at, ended_by=by.name))
    unscored = (
        sa.select(cases.c.id, cases.c.version, cases.c.claim, cases.c.platform)
        .where(cases.c.suggestion_state == "off", cases.c.status == CaseStatus.OPEN.value)
        .order_by(cases.c.id)
        .with_for_update()
    )
    for row in connection.execute(unscored).all():
        if not is_off(connection, claim=row.claim, platform=row.platform):
            connection.execute(cases.update().where(cases.c.id == row.id).values(suggestion_state="pending"))
            jobs.ask_score(connection, case_key=row.id, version=row.version, at=at)
    trail.record(connection, Action.SUGGESTIONS_SWITCHED_ON, actor=by.name, subject=f"switch:{switch_id}", at=at)
    return one(connection, switch_id)


def active(connection: Connection) -> tuple[Switch, ...]:
    return tuple(_switch(row) for row in connection.execute(_query().where(switches.c.ended_at.is_(None))))


def is_off(connection: Connection, *, claim: str, platform: str) -> bool:
    return any(switch.covers(claim=claim, platform=platform) for switch in active(connection))


def history(connection: Connection) -> tuple[Switch, ...]:
    """Return every switch, the newest first, ended ones too."""
    return tuple(_switch(row) for row in connection.execute(_query().order_by(switches.c.id.desc())))


def one(connection: Connection, switch_id: str) -> Switch:
    """Raises UnknownError."""
    row = connection.execute(_query().where(switches.c.switch_id == switch_id)).first()
    if row is None:
        raise UnknownError("switch", switch_id)
    return _switch(row)


def _query() -> sa.Select[Any]:
    return sa.select(switches, users.c.name).join(users, users.c.id == switches.c.by_user)


def _switch(row: Any) -> Switch:
    return Switch(
        switch_id=row.switch_id,
        claim=Claim(row.claim) if row.claim else None,
        platform=Platform(row.platform) if row.platform else None,
        reason=row.reason,
        switched_off_by=row.name,
        switched_off_at=row.at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
    )


def _check(by: User) -> None:
    if by.role not in (Role.LEAD, Role.ENGINEER):
        raise ForbiddenError(f"the kill switch needs a lead or an engineer, not the role {by.role.value}")
