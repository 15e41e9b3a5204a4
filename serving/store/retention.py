"""What has been kept long enough: cases, photos, messages, answers, sign-ins past their time, counted or dropped.

Knows no periods and no files.
"""

from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from models.vocabulary import Platform
from serving.audit import Action
from serving.records import CaseKey, CaseStatus
from serving.store import trail
from serving.store.database import Database
from serving.store.erasure import drop_photos
from serving.store.retrainings import RETRAIN
from serving.tables import (
    api_tokens,
    audit_events,
    case_photos,
    cases,
    idempotency_keys,
    jobs,
    notices,
    outbox,
    sessions,
    sign_in_attempts,
    sign_in_links,
)

RowKind = Literal["messages", "requests", "sign_ins"]
"""messages: delivered ones; requests: answers kept for repeats, and ended jobs but retrainings; sign_ins: ended
sessions, spent links, dead tokens, failed attempts, and what the audit trail says of signing in."""
_ROWS_AT_A_TIME = 5_000
_SIGNING_IN = (Action.LINK_USED, Action.SIGNED_IN, Action.SIGNED_OUT, Action.LOCKED_OUT)


class Ageing:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def longest_pause(self, *, until: datetime) -> tuple[datetime, datetime] | None:
        """Return the two times furthest apart, either way, between which nothing happened; None for an empty trail.

        Of those that follow each other in the audit trail since retention last let something go; `until` comes last.
        """
        applied = sa.select(sa.func.max(audit_events.c.place)).where(
            audit_events.c.action == Action.RETENTION_APPLIED.value
        )
        since = sa.func.coalesce(applied.scalar_subquery(), 0)
        query = sa.select(audit_events.c.at).where(audit_events.c.place >= since).order_by(audit_events.c.place)
        with self.database.read() as connection:
            times = connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME}).scalars()
            return max(pairwise(chain(times, [until])), key=lambda pair: abs(pair[1] - pair[0]), default=None)

    def cases(self, *, before: datetime, with_photos: bool = False) -> list[CaseKey]:
        """Return the decided cases that nothing happened to since `before`, the oldest first.

        with_photos : only those that have photos
        """
        query = sa.select(cases.c.platform, cases.c.case_id).where(_is_old(before)).order_by(cases.c.updated_at)
        if with_photos:
            query = query.where(sa.exists().where(case_photos.c.case_key == cases.c.id))
        with self.database.read() as connection:
            return [CaseKey(Platform(row.platform), row.case_id) for row in connection.execute(query)]

    def drop_photos(self, key: CaseKey, *, before: datetime, by: str) -> None:
        """Let a case that is still that old go without its photos."""
        with self.database.write() as connection:
            named = (cases.c.platform == key.platform.value, cases.c.case_id == key.case_id)
            row = connection.execute(sa.select(cases.c.id).where(*named, _is_old(before)).with_for_update()).first()
            if row is None:
                return
            n_photos = len(drop_photos(connection, row.id))
            detail: trail.Detail = {"n_photos": n_photos}
            at = datetime.now(UTC)
            trail.record(connection, Action.PHOTOS_REMOVED, actor=by, subject=str(key), at=at, detail=detail)

    def count(self, kind: RowKind, *, before: datetime) -> int:
        with self.database.read() as connection:
            return sum(
                int(connection.execute(sa.select(sa.func.count()).select_from(table).where(old)).scalar_one())
                for table, old in (*_old_rows(kind, before), *_old_entries(kind, before))
            )

    def drop(self, kind: RowKind, *, before: datetime, by: str) -> int:
        """Drop what is older and return how many rows that were. Entries of the audit trail are erased, not dropped."""
        with self.database.write() as connection:
            n_dropped = sum(
                connection.execute(table.delete().where(old)).rowcount for table, old in _old_rows(kind, before)
            )
            for _, old in _old_entries(kind, before):
                n_dropped += _erase_entries(connection, old, kind=kind, by=by)
            if n_dropped:
                detail: trail.Detail = {"kind": kind, "n": n_dropped}
                at = datetime.now(UTC)
                trail.record(connection, Action.RETENTION_APPLIED, actor=by, subject="retention", at=at, detail=detail)
            return n_dropped


def _is_old(before: datetime) -> sa.ColumnElement[bool]:
    unsent = sa.exists().where(notices.c.case_key == cases.c.id, notices.c.state == "draft")
    return sa.and_(cases.c.status == CaseStatus.DECIDED.value, cases.c.updated_at < before, ~unsent)


def _old_rows(kind: RowKind, before: datetime) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    if kind == "messages":
        return [(outbox, sa.and_(outbox.c.state == "delivered", outbox.c.delivered_at < before))]
    if kind == "requests":
        held = idempotency_keys.c.held_until
        return [
            (idempotency_keys, sa.and_(idempotency_keys.c.created_at < before, sa.or_(held.is_(None), held < before))),
            (jobs, sa.and_(jobs.c.kind != RETRAIN, jobs.c.finished_at < before)),
        ]
    return [
        (sessions, sa.or_(sessions.c.expires_at < before, sessions.c.ended_at < before)),
        (sign_in_links, sa.or_(sign_in_links.c.expires_at < before, sign_in_links.c.used_at < before)),
        (api_tokens, sa.or_(api_tokens.c.expires_at < before, api_tokens.c.revoked_at < before)),
        (sign_in_attempts, sign_in_attempts.c.last_at < before),
    ]


def _old_entries(kind: RowKind, before: datetime) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    if kind != "sign_ins":
        return []
    about = audit_events.c.action.in_([action.value for action in _SIGNING_IN])
    return [(audit_events, sa.and_(about, audit_events.c.at < before, audit_events.c.salt.is_not(None)))]


def _erase_entries(connection: Connection, old: sa.ColumnElement[bool], *, kind: RowKind, by: str) -> int:
    if connection.execute(sa.select(audit_events.c.id).where(old).limit(1)).first() is None:
        return 0
    return trail.erase(connection, old, erasure=f"retention:{kind}", actor=by, at=datetime.now(UTC))
