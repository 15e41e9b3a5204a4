"""Attempts at a password, counted before each is checked so that many at once can't outrun the lock.

Counted by a digest of the name as typed, known or not: a lock tells nobody which names exist.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from serving.store.clock import is_ahead
from serving.tables import sign_in_attempts as attempts


@dataclass(frozen=True)
class Attempt:
    """locked_until : set when the attempt isn't allowed; newly_locked : this is the attempt that locked the name"""

    locked_until: datetime | None
    newly_locked: bool = False


def begin(connection: Connection, name_digest: str, *, at: datetime, allowed: int, lock: timedelta) -> Attempt:
    """Count an attempt. After `allowed` without success the name is locked for `lock`."""
    query = sa.select(attempts).where(attempts.c.name_digest == name_digest).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        try:
            with connection.begin_nested():
                connection.execute(attempts.insert().values(name_digest=name_digest, n_failed=1, last_at=at))
        except IntegrityError:  # another first attempt at the same moment
            return begin(connection, name_digest, at=at, allowed=allowed, lock=lock)
        return Attempt(None)
    if row.locked_until is not None and is_ahead(row.locked_until, at=at, longest=lock):
        return Attempt(row.locked_until)
    forgotten = row.locked_until is not None or row.last_at < at - lock
    n_failed = 1 if forgotten else row.n_failed + 1
    locked_until = at + lock if n_failed > allowed else None
    connection.execute(
        attempts.update()
        .where(attempts.c.name_digest == name_digest)
        .values(n_failed=n_failed, last_at=at, locked_until=locked_until)
    )
    return Attempt(locked_until, newly_locked=locked_until is not None)


def forget(connection: Connection, name_digest: str) -> None:
    """Start counting anew, after a success."""
    connection.execute(attempts.delete().where(attempts.c.name_digest == name_digest))
