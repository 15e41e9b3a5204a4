"""Users and their ways in, each method one transaction with its line in the audit trail."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from serving.audit import Action
from serving.records import Person, Queue, Role, Scope, User
from serving.store import attempts, trail, users
from serving.store.database import Database
from serving.store.users import LinkKind, PasswordEntry, TokenOnFile, WayIn


class Accounts:
    """database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(
        self, name: str, *, role: Role, password_hash: str | None = None, queues: tuple[Queue, ...] = (), by: str
    ) -> User:
        """Raises NameTakenError."""
        with self.database.write() as connection:
            user = users.add(connection, name, role=role, password_hash=password_hash, at=_now(), queues=queues)
            detail: trail.Detail = {"role": role.value, "queues": " ".join(map(str, queues)) or None}
            _note(connection, Action.USER_ADDED, user, by=by, detail=detail)
            return user

    def disable(self, name: str, *, by: str) -> None:
        """Shut a user out at once, with every session and token. Raises UnknownError."""
        with self.database.write() as connection:
            user = users.named(connection, name)
            users.disable(connection, user, at=_now())
            _note(connection, Action.USER_DISABLED, user, by=by)

    def named(self, name: str) -> User:
        """Raises UnknownError."""
        with self.database.read() as connection:
            return users.named(connection, name)

    def password_entry(self, name: str) -> PasswordEntry | None:
        with self.database.read() as connection:
            return users.find(connection, name)

    def everyone(self) -> list[User]:
        with self.database.read() as connection:
            return users.everyone(connection)

    def open_session(self, user: User, *, token_hash: str, csrf_token: str, expires_at: datetime, way: WayIn) -> None:
        with self.database.write() as connection:
            users.open_session(
                connection, user, token_hash=token_hash, csrf_token=csrf_token, at=_now(), expires_at=expires_at
            )
            _note(connection, Action.SIGNED_IN, user, by=user.name, detail={"way": way})

    def end_session(self, token_hash: str, *, user: User) -> None:
        with self.database.write() as connection:
            users.end_session(connection, token_hash, at=_now())
            _note(connection, Action.SIGNED_OUT, user, by=user.name)

    def person_of_session(self, token_hash: str) -> Person | None:
        with self.database.read() as connection:
            return users.person_of_session(connection, token_hash, at=_now())

    def person_of_token(self, token_hash: str) -> Person | None:
        with self.database.read() as connection:
            return users.person_of_token(connection, token_hash, at=_now())

    def add_token(
        self,
        user: User,
        *,
        token_hash: str,
        label: str,
        by: str,
        expires_at: datetime | None = None,
        scopes: frozenset[Scope] | None = None,
    ) -> None:
        with self.database.write() as connection:
            users.add_token(
                connection, user, token_hash=token_hash, label=label, at=_now(), expires_at=expires_at, scopes=scopes
            )
            said = "all" if scopes is None else " ".join(sorted(scopes))
            _note(connection, Action.TOKEN_MADE, user, by=by, detail={"label": label, "scopes": said})

    def tokens(self, user: User) -> list[TokenOnFile]:
        with self.database.read() as connection:
            return users.tokens(connection, user, at=_now())

    def revoke_tokens(self, user: User, *, label: str, by: str) -> int:
        with self.database.write() as connection:
            n_revoked = users.revoke_tokens(connection, user, label=label, at=_now())
            _note(connection, Action.TOKEN_REVOKED, user, by=by, detail={"label": label, "n_tokens": n_revoked})
            return n_revoked

    def add_link(self, user: User, *, token_hash: str, by: str, expires_at: datetime, kind: LinkKind) -> None:
        with self.database.write() as connection:
            users.add_link(connection, user, token_hash=token_hash, at=_now(), expires_at=expires_at, kind=kind)
            _note(connection, Action.LINK_MADE, user, by=by, detail={"kind": kind})

    def use_link(self, token_hash: str) -> User | None:
        with self.database.write() as connection:
            user = users.use_link(connection, token_hash, at=_now(), kind="sign_in")
            if user is not None:
                _note(connection, Action.LINK_USED, user, by=user.name)
            return user

    def set_up(self, token_hash: str, *, password_hash: str) -> User | None:
        """Spend a set-up link and set its user's password; every session and other link of theirs ends.

        None as for `use_link`.
        """
        with self.database.write() as connection:
            user = users.use_link(connection, token_hash, at=_now(), kind="set_up")
            if user is not None:
                users.set_password(connection, user, password_hash=password_hash, at=_now())
                _note(connection, Action.PASSWORD_SET, user, by=user.name)
            return user

    def begin_attempt(self, name_digest: str, *, allowed: int, lock: timedelta) -> datetime | None:
        """Count an attempt at a password; return until when the name is locked, None if the attempt may go on."""
        with self.database.write() as connection:
            attempt = attempts.begin(connection, name_digest, at=_now(), allowed=allowed, lock=lock)
            if attempt.newly_locked:
                subject = f"name:{name_digest[:16]}"
                trail.record(connection, Action.LOCKED_OUT, actor="system:sign-in", subject=subject, at=_now())
            return attempt.locked_until

    def forget_attempts(self, name_digest: str) -> None:
        with self.database.write() as connection:
            attempts.forget(connection, name_digest)


def _note(connection: Connection, action: Action, user: User, *, by: str, detail: trail.Detail | None = None) -> None:
    trail.record(connection, action, actor=by, subject=f"user:{user.name}", at=_now(), detail=detail)


def _now() -> datetime:
    return datetime.now(UTC)
