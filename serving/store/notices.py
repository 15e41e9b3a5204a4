"""Notices to both parties (处理结果): written with the decision, editable till sent, void when it is withdrawn.

Whoever changes a notice holds its case's row: an edit, a sending, a withdrawal and an erasure come one after the other.
"""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.vocabulary import Platform
from serving.audit import Action
from serving.desk_records import Notice, NoticeText
from serving.records import CaseKey, User
from serving.refusals import ForbiddenError, NoticeSentError, UnknownError
from serving.store import outbox, trail
from serving.store.cases import row_of
from serving.store.holds import check_recusal
from serving.tables import cases, notices


def write(
    connection: Connection,
    text: NoticeText,
    *,
    case_key: int,
    key: CaseKey,
    decision_id: str,
    by: User,
    send_after: datetime,
    at: datetime,
) -> None:
    notice_id = uuid.uuid4().hex
    connection.execute(
        notices.insert().values(
            notice_id=notice_id,
            case_key=case_key,
            decision_id=decision_id,
            zh=text.zh,
            en=text.en,
            state="draft",
            send_after=send_after,
        )
    )
    trail.record(
        connection,
        Action.NOTICE_WRITTEN,
        actor=by.name,
        subject=str(key),
        at=at,
        detail={"notice_id": notice_id, "decision_id": decision_id},
    )


def edit(connection: Connection, key: CaseKey, notice_id: str, text: NoticeText, *, by: User, at: datetime) -> Notice:
    """Replace the texts of a notice that wasn't sent.

    Raises UnknownError, CaseErasedError, ForbiddenError, NoticeSentError.
    """
    _changeable(connection, key, notice_id, by=by)
    _change(connection, notice_id, zh=text.zh, en=text.en, edited_by=by.name, edited_at=at)
    trail.record(
        connection, Action.NOTICE_EDITED, actor=by.name, subject=str(key), at=at, detail={"notice_id": notice_id}
    )
    return one(connection, key, notice_id)


def send_now(connection: Connection, key: CaseKey, notice_id: str, *, by: User, at: datetime) -> Notice:
    """Send a notice without waiting for the undo window.

    Raises UnknownError, CaseErasedError, ForbiddenError, NoticeSentError.
    """
    _changeable(connection, key, notice_id, by=by)
    _send(connection, notice_id, key=key, actor=by.name, at=at)
    return one(connection, key, notice_id)


def send_due(connection: Connection, *, at: datetime, limit: int = 200) -> int:
    """Send what has waited for its undo window; return how many. Cases that somebody changes just now wait on."""
    query = (
        sa.select(notices.c.notice_id, cases.c.platform, cases.c.case_id)
        .join(cases, cases.c.id == notices.c.case_key)
        .where(notices.c.state == "draft", notices.c.send_after <= at)
        .order_by(notices.c.send_after)
        .limit(limit)
        .with_for_update(skip_locked=True, of=(cases, notices))
    )
    rows = connection.execute(query).all()
    for row in rows:
        key = CaseKey(Platform(row.platform), row.case_id)
        _send(connection, row.notice_id, key=key, actor="system:desk", at=at)
    return len(rows)


def void(connection: Connection, decision_id: str) -> None:
    """Take back the notice of a withdrawn decision, if it hasn't left. The caller holds the case's row."""
    connection.execute(
        notices.update().where(notices.c.decision_id == decision_id, notices.c.state == "draft").values(state="void")
    )


def of_case(connection: Connection, case_key: int) -> tuple[Notice, ...]:
    """Return a case's notices, the newest first."""
    query = sa.select(notices).where(notices.c.case_key == case_key).order_by(notices.c.id.desc())
    return tuple(_notice(row) for row in connection.execute(query))


def one(connection: Connection, key: CaseKey, notice_id: str) -> Notice:
    """Raises UnknownError."""
    query = (
        sa.select(notices)
        .join(cases, cases.c.id == notices.c.case_key)
        .where(
            notices.c.notice_id == notice_id,
            cases.c.platform == key.platform.value,
            cases.c.case_id == key.case_id,
        )
    )
    row = connection.execute(query).first()
    if row is None:
        raise UnknownError("notice", notice_id)
    return _notice(row)


def _changeable(connection: Connection, key: CaseKey, notice_id: str, *, by: User) -> None:
    if not by.role.decides:
        raise ForbiddenError(f"a notice needs an arbitrator or a lead, not the role {by.role.value}")
    check_recusal(connection, row_of(connection, key, for_change=True).id, by=by)
    if one(connection, key, notice_id).state != "draft":
        raise NoticeSentError


def _change(connection: Connection, notice_id: str, **values: Any) -> None:
    """Raises NoticeSentError for a notice that was sent or taken back."""
    draft = notices.update().where(notices.c.notice_id == notice_id, notices.c.state == "draft")
    if connection.execute(draft.values(values)).rowcount != 1:
        raise NoticeSentError


def _send(connection: Connection, notice_id: str, *, key: CaseKey, actor: str, at: datetime) -> None:
    _change(connection, notice_id, state="sent", sent_at=at)
    trail.record(connection, Action.NOTICE_SENT, actor=actor, subject=str(key), at=at, detail={"notice_id": notice_id})
    outbox.put(connection, "notice", subject=str(key), body=one(connection, key, notice_id), at=at)


def _notice(row: Any) -> Notice:
    return Notice(
        notice_id=row.notice_id,
        decision_id=row.decision_id,
        text=NoticeText(zh=row.zh, en=row.en),
        state=row.state,
        send_after=row.send_after,
        edited_by=row.edited_by,
        edited_at=row.edited_at,
        sent_at=row.sent_at,
    )
