"""The outbox: messages to the outside, written in the transaction of the change that they tell of.

A message waits until it is delivered or given up; those about one case leave in the order they were written, so one
that was given up holds up those after it until it is tried again. Knows nothing of how messages travel.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy import Connection

from serving.audit import Action
from serving.store import trail
from serving.store.clock import is_due
from serving.store.database import Database
from serving.tables import outbox

_LONGEST_WAIT = timedelta(hours=4)
"""No message waits longer between two attempts."""
MessageKind = Literal["decision", "withdrawal", "notice", "evidence_request"]


@dataclass(frozen=True)
class Message:
    """payload : JSON text; attempts : this one counted; fence : rises with every attempt"""

    row: int
    message_id: str
    kind: str
    subject: str
    payload: str
    created_at: datetime
    attempts: int
    fence: int


class Outbox:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def take(self, *, hold: timedelta) -> Message | None:
        """Take the message that is due longest, for `hold`; None when none is due."""
        with self.database.alter() as connection:
            return _take(connection, at=datetime.now(UTC), hold=hold)

    def delivered(self, message: Message) -> None:
        """Note a delivery; without effect when the message was taken by another meanwhile."""
        at = datetime.now(UTC)
        with self.database.write() as connection:
            if _change(connection, message, state="delivered", delivered_at=at, problem=None):
                _note(connection, Action.MESSAGE_DELIVERED, message, at=at)

    def put_back(self, message: Message, *, problem: str, wait: timedelta | None) -> None:
        """Let a message wait for another attempt, or give it up when `wait` is None."""
        at = datetime.now(UTC)
        if wait is not None:
            with self.database.alter() as connection:
                _change(connection, message, next_at=at + wait, problem=problem)
            return
        with self.database.write() as connection:
            if _change(connection, message, state="failed", problem=problem):
                _note(connection, Action.MESSAGE_GIVEN_UP, message, at=at)

    def try_failed_again(self, *, by: str) -> int:
        """Let every message that was given up wait again; return how many."""
        at = datetime.now(UTC)
        with self.database.write() as connection:
            changed = connection.execute(
                outbox.update().where(outbox.c.state == "failed").values(state="waiting", attempts=0, next_at=at)
            )
            if changed.rowcount:
                detail: trail.Detail = {"n_messages": changed.rowcount}
                trail.record(connection, Action.MESSAGES_RETRIED, actor=by, subject="outbox", at=at, detail=detail)
            return changed.rowcount

    def counts(self) -> dict[str, int]:
        """Return how many messages wait, were delivered, were given up."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state))
            return {"waiting": 0, "delivered": 0, "failed": 0} | {row[0]: int(row[1]) for row in rows}

    def oldest_waiting_at(self) -> datetime | None:
        """Return since when the oldest message waits, None when none does."""
        with self.database.read() as connection:
            query = sa.select(sa.func.min(outbox.c.created_at)).where(outbox.c.state == "waiting")
            oldest: datetime | None = connection.execute(query).scalar_one()
            return oldest


def put(connection: Connection, kind: MessageKind, *, subject: str, body: BaseModel, at: datetime) -> None:
    """Write a message; it leaves only if the caller's transaction commits."""
    connection.execute(
        outbox.insert().values(
            message_id=f"msg_{uuid.uuid4().hex}",
            kind=kind,
            subject=subject,
            payload=body.model_dump_json(),
            state="waiting",
            attempts=0,
            fence=0,
            next_at=at,
            created_at=at,
        )
    )


def _change(connection: Connection, message: Message, **values: object) -> bool:
    """Return whether the message was still the caller's to change."""
    changed = connection.execute(
        outbox.update()
        .where(outbox.c.id == message.row, outbox.c.fence == message.fence, outbox.c.state == "waiting")
        .values(values)
    )
    return bool(changed.rowcount)


def _note(connection: Connection, action: Action, message: Message, *, at: datetime) -> None:
    detail: trail.Detail = {"message_id": message.message_id, "kind": message.kind, "attempts": message.attempts}
    trail.record(connection, action, actor="system:courier", subject=message.subject, at=at, detail=detail)


def _take(connection: Connection, *, at: datetime, hold: timedelta) -> Message | None:
    earlier = outbox.alias("earlier")
    held_up = sa.exists().where(
        earlier.c.subject == outbox.c.subject, earlier.c.state.in_(("waiting", "failed")), earlier.c.id < outbox.c.id
    )
    query = (
        sa.select(outbox)
        .where(outbox.c.state == "waiting", is_due(outbox.c.next_at, at=at, longest=_LONGEST_WAIT), ~held_up)
        .order_by(outbox.c.next_at, outbox.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=outbox)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    connection.execute(
        outbox.update()
        .where(outbox.c.id == row.id)
        .values(attempts=row.attempts + 1, fence=row.fence + 1, next_at=at + hold)
    )
    return Message(
        row.id, row.message_id, row.kind, row.subject, row.payload, row.created_at, row.attempts + 1, row.fence + 1
    )
