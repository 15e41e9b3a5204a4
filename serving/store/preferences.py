"""What a person set for themselves: saved views of the queue and keyboard shortcuts.

The audit trail says that they changed, not what they say: a view may name a party.
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from models.errors import InputError
from serving.audit import Action
from serving.records import User
from serving.store import trail
from serving.tables import preferences, users

SHORTCUT, VIEW = "shortcut", "view"
_AT_MOST = 50


def of_user(connection: Connection, user: User, *, kind: str) -> dict[str, str]:
    """Return values by name, in order of name."""
    query = (
        sa.select(preferences.c.name, preferences.c.value)
        .where(preferences.c.user_key == user.user_key, preferences.c.kind == kind)
        .order_by(preferences.c.name)
    )
    return {row.name: row.value for row in connection.execute(query)}


def keep(connection: Connection, user: User, *, kind: str, values: Mapping[str, str], at: datetime) -> None:
    """Keep values by name; the last one stands. Raises InputError on a name nobody could read, or too many."""
    for name, value in values.items():
        if not 1 <= len(name) <= 128 or not name.isprintable():
            raise InputError("must be 1 to 128 printable characters", field="name")
        _forget(connection, user, kind=kind, name=name)
        if len(of_user(connection, user, kind=kind)) >= _AT_MOST:
            raise InputError(f"at most {_AT_MOST} are kept; delete one first", field="name")
        connection.execute(preferences.insert().values(user_key=user.user_key, kind=kind, name=name, value=value))
    _note(connection, user, kind=kind, n_kept=len(values), n_dropped=0, at=at)


def replace(connection: Connection, user: User, *, kind: str, values: Mapping[str, str], at: datetime) -> None:
    """Keep these values, and none of this kind beside them. Raises as `keep`."""
    _forget(connection, user, kind=kind)
    keep(connection, user, kind=kind, values=values, at=at)


def drop(connection: Connection, user: User, *, kind: str, name: str, at: datetime) -> None:
    """Forget one value."""
    n_dropped = _forget(connection, user, kind=kind, name=name)
    if n_dropped:
        _note(connection, user, kind=kind, n_kept=0, n_dropped=n_dropped, at=at)


def _forget(connection: Connection, user: User, *, kind: str, name: str | None = None) -> int:
    """Forget what is kept, or one of it. Others who change it wait; rows that refer to the user may come meanwhile."""
    query = sa.select(users.c.id).where(users.c.id == user.user_key)
    connection.execute(query.with_for_update(key_share=True))
    conditions = [preferences.c.user_key == user.user_key, preferences.c.kind == kind]
    if name is not None:
        conditions.append(preferences.c.name == name)
    return connection.execute(preferences.delete().where(*conditions)).rowcount


def _note(connection: Connection, user: User, *, kind: str, n_kept: int, n_dropped: int, at: datetime) -> None:
    detail: trail.Detail = {"kind": kind, "n_kept": n_kept, "n_dropped": n_dropped}
    trail.record(
        connection, Action.PREFERENCES_CHANGED, actor=user.name, subject=f"user:{user.name}", at=at, detail=detail
    )
