"""What a person set for themselves: saved views of the queue and keyboard shortcuts."""

import sqlalchemy as sa
from sqlalchemy import Connection

from models.errors import InputError
from serving.records import User
from serving.tables import preferences

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


def keep(connection: Connection, user: User, *, kind: str, name: str, value: str) -> None:
    """Keep a value under a name; the last one stands. Raises InputError on a name nobody could read, or too many."""
    if not 1 <= len(name) <= 128 or not name.isprintable():
        raise InputError("must be 1 to 128 printable characters", field="name")
    drop(connection, user, kind=kind, name=name)
    if len(of_user(connection, user, kind=kind)) >= _AT_MOST:
        raise InputError(f"at most {_AT_MOST} are kept; delete one first", field="name")
    connection.execute(preferences.insert().values(user_key=user.user_key, kind=kind, name=name, value=value))


def drop(connection: Connection, user: User, *, kind: str, name: str | None = None) -> None:
    """Forget one value, or all of a kind."""
    conditions = [preferences.c.user_key == user.user_key, preferences.c.kind == kind]
    if name is not None:
        conditions.append(preferences.c.name == name)
    connection.execute(preferences.delete().where(*conditions))
