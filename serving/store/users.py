"""Users and what signs them in: sessions, API tokens, one-time links. Secrets are kept as hashes only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from serving.records import Person, Queue, Role, Scope, User
from serving.refusals import NameTakenError, UnknownError
from serving.tables import api_tokens, sessions, sign_in_links, users

_COLUMNS = (users.c.id, users.c.name, users.c.role, users.c.queues)
_QUEUES = TypeAdapter(tuple[Queue, ...])


LinkKind = Literal["sign_in", "set_up"]
WayIn = Literal["password", "link", "set_up", "provider"]


@dataclass(frozen=True)
class PasswordEntry:
    user: User
    password_hash: str | None


@dataclass(frozen=True)
class TokenOnFile:
    """An API token without its secret.

    scopes : None for all that the user's role may do; expires_at : None for never
    """

    label: str
    scopes: frozenset[Scope] | None
    expires_at: datetime | None


def _user(row: Any) -> User:
    return User(row.id, row.name, Role(row.role), _QUEUES.validate_json(row.queues) if row.queues else ())


def add(
    connection: Connection,
    name: str,
    *,
    role: Role,
    password_hash: str | None,
    at: datetime,
    queues: tuple[Queue, ...] = (),
) -> User:
    """Raises NameTakenError."""
    try:
        with connection.begin_nested():
            inserted = connection.execute(
                users.insert().values(
                    name=name,
                    role=role.value,
                    password_hash=password_hash,
                    created_at=at,
                    queues=_QUEUES.dump_json(queues).decode() if queues else None,
                )
            )
    except IntegrityError as error:
        raise NameTakenError(name) from error
    key = inserted.inserted_primary_key
    if key is None:
        raise NameTakenError(name)
    return User(key[0], name, role, queues)


def find(connection: Connection, name: str) -> PasswordEntry | None:
    """Return the user of that name who isn't disabled."""
    row = connection.execute(sa.select(users).where(users.c.name == name, users.c.disabled_at.is_(None))).first()
    return PasswordEntry(_user(row), row.password_hash) if row is not None else None


def named(connection: Connection, name: str) -> User:
    """Raises UnknownError."""
    entry = find(connection, name)
    if entry is None:
        raise UnknownError("user", name)
    return entry.user


def name_of(connection: Connection, user_key: int | None) -> str | None:
    if user_key is None:
        return None
    name: str | None = connection.execute(sa.select(users.c.name).where(users.c.id == user_key)).scalar_one_or_none()
    return name


def disable(connection: Connection, user: User, *, at: datetime) -> None:
    connection.execute(users.update().where(users.c.id == user.user_key).values(disabled_at=at))


def set_password(connection: Connection, user: User, *, password_hash: str, at: datetime) -> None:
    """Set the password, end every session of the user and spend every other link of theirs."""
    connection.execute(users.update().where(users.c.id == user.user_key).values(password_hash=password_hash))
    connection.execute(
        sessions.update().where(sessions.c.user_key == user.user_key, sessions.c.ended_at.is_(None)).values(ended_at=at)
    )
    unused = sign_in_links.c.user_key == user.user_key, sign_in_links.c.used_at.is_(None)
    connection.execute(sign_in_links.update().where(*unused).values(used_at=at))


def everyone(connection: Connection) -> list[User]:
    query = sa.select(users).where(users.c.disabled_at.is_(None)).order_by(users.c.name)
    return [_user(row) for row in connection.execute(query)]


def open_session(
    connection: Connection, user: User, *, token_hash: str, csrf_token: str, at: datetime, expires_at: datetime
) -> None:
    connection.execute(
        sessions.insert().values(
            token_hash=token_hash, user_key=user.user_key, csrf_token=csrf_token, created_at=at, expires_at=expires_at
        )
    )


def person_of_session(connection: Connection, token_hash: str, *, at: datetime) -> Person | None:
    query = (
        sa.select(*_COLUMNS, sessions.c.csrf_token)
        .join(sessions, sessions.c.user_key == users.c.id)
        .where(
            sessions.c.token_hash == token_hash,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > at,
            users.c.disabled_at.is_(None),
        )
    )
    row = connection.execute(query).first()
    return Person(_user(row), "session", row.csrf_token) if row is not None else None


def end_session(connection: Connection, token_hash: str, *, at: datetime) -> None:
    connection.execute(sessions.update().where(sessions.c.token_hash == token_hash).values(ended_at=at))


def end_ways_in(connection: Connection, *, at: datetime) -> tuple[int, int]:
    """End every session and spend every one-time link; return how many of each were good until then."""
    open_sessions = sessions.update().where(sessions.c.ended_at.is_(None), sessions.c.expires_at > at)
    unused_links = sign_in_links.update().where(sign_in_links.c.used_at.is_(None), sign_in_links.c.expires_at > at)
    n_sessions = connection.execute(open_sessions.values(ended_at=at)).rowcount
    return n_sessions, connection.execute(unused_links.values(used_at=at)).rowcount


def add_token(
    connection: Connection,
    user: User,
    *,
    token_hash: str,
    label: str,
    at: datetime,
    expires_at: datetime | None,
    scopes: frozenset[Scope] | None,
) -> int:
    inserted = connection.execute(
        api_tokens.insert().values(
            token_hash=token_hash,
            user_key=user.user_key,
            label=label,
            created_at=at,
            expires_at=expires_at,
            scopes=None if scopes is None else " ".join(sorted(scopes)),
        )
    )
    key = inserted.inserted_primary_key
    return int(key[0]) if key is not None else 0


def person_of_token(connection: Connection, token_hash: str, *, at: datetime) -> Person | None:
    query = (
        sa.select(*_COLUMNS, api_tokens.c.scopes)
        .join(api_tokens, api_tokens.c.user_key == users.c.id)
        .where(
            api_tokens.c.token_hash == token_hash,
            api_tokens.c.revoked_at.is_(None),
            sa.or_(api_tokens.c.expires_at.is_(None), api_tokens.c.expires_at > at),
            users.c.disabled_at.is_(None),
        )
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return Person(_user(row), "token", scopes=_scopes(row.scopes))


def tokens(connection: Connection, user: User, *, at: datetime) -> list[TokenOnFile]:
    """Return the user's tokens that are neither revoked nor expired, by label."""
    valid = api_tokens.c.revoked_at.is_(None), sa.or_(api_tokens.c.expires_at.is_(None), api_tokens.c.expires_at > at)
    query = sa.select(api_tokens).where(api_tokens.c.user_key == user.user_key, *valid)
    rows = connection.execute(query.order_by(api_tokens.c.label, api_tokens.c.id))
    return [TokenOnFile(row.label, _scopes(row.scopes), row.expires_at) for row in rows]


def _scopes(kept: str | None) -> frozenset[Scope] | None:
    return None if kept is None else frozenset(Scope(word) for word in kept.split())


def revoke_tokens(connection: Connection, user: User, *, label: str, at: datetime) -> int:
    """Revoke the user's tokens of that label and return how many there were."""
    changed = connection.execute(
        api_tokens.update()
        .where(api_tokens.c.user_key == user.user_key, api_tokens.c.label == label, api_tokens.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    return changed.rowcount


def add_link(
    connection: Connection, user: User, *, token_hash: str, at: datetime, expires_at: datetime, kind: LinkKind
) -> None:
    connection.execute(
        sign_in_links.insert().values(
            token_hash=token_hash, user_key=user.user_key, created_at=at, expires_at=expires_at, kind=kind
        )
    )


def use_link(connection: Connection, token_hash: str, *, at: datetime, kind: LinkKind) -> User | None:
    """Spend a one-time link; None when it is unknown, of another kind, spent, expired or its user was shut out."""
    spent = connection.execute(
        sign_in_links.update()
        .where(
            sign_in_links.c.token_hash == token_hash,
            sign_in_links.c.kind == kind,
            sign_in_links.c.used_at.is_(None),
            sign_in_links.c.expires_at > at,
            sign_in_links.c.user_key.in_(sa.select(users.c.id).where(users.c.disabled_at.is_(None))),
        )
        .values(used_at=at)
    )
    if spent.rowcount != 1:
        return None
    query = (
        sa.select(*_COLUMNS)
        .join(sign_in_links, sign_in_links.c.user_key == users.c.id)
        .where(sign_in_links.c.token_hash == token_hash)
    )
    return _user(connection.execute(query).one())
