"""Proving who someone is: passwords, session and API tokens, one-time links. No default password exists.

Tokens are random and kept as SHA-256 only; passwords as Argon2. Knows nothing of routes.
"""

import hashlib
import secrets
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from models.errors import InputError
from serving.records import Person, Queue, Role, Scope, User
from serving.refusals import ForbiddenError, LockedOutError, StrangerError
from serving.store import Store
from serving.store.users import LinkKind, WayIn

MIN_PASSWORD_LENGTH = 12
SESSION_COOKIE = "evidence_review_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
RECOGNISED = "evidence_review.recognised"
"""Key of the ASGI scope: whether the token or session that the request shows is somebody's."""


def hash_token(token: str) -> str:
    """A fast hash is enough: tokens hold 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Gatekeeper:
    """Signs people in and recognises them.

    session_hours, link_minutes : lifetimes
    attempts_allowed : wrong passwords for one name before it is locked for lock_minutes
    """

    def __init__(
        self,
        store: Store,
        *,
        session_hours: float,
        link_minutes: float,
        attempts_allowed: int = 10,
        lock_minutes: float = 15,
    ) -> None:
        self.store = store
        self.session_hours = session_hours
        self.link_minutes = link_minutes
        self.attempts_allowed = attempts_allowed
        self.lock_minutes = lock_minutes
        self._passwords = PasswordHash.recommended()
        self._decoy: str | None = None

    def add_user(
        self, name: str, *, role: Role, password: str | None = None, queues: tuple[Queue, ...] = (), by: str
    ) -> User:
        """Add a user; one with queues sees no other cases.

        Raises NameTakenError, or InputError on a name, password or queues that can't be used.
        """
        if not 1 <= len(name) <= 128 or not name.isprintable() or name.startswith("system:") or name != name.strip():
            raise InputError("must be 1 to 128 printable characters without blanks at its ends", field="name")
        if password is not None and role == Role.SERVICE:
            raise InputError("a service has tokens, no password", field="password")
        if queues and role != Role.ARBITRATOR:
            raise InputError("only an arbitrator is kept to queues", field="queues")
        hashed = self._hashed(password) if password is not None else None
        return self.store.accounts.add(name, role=role, password_hash=hashed, queues=queues, by=by)

    def sign_in_by_password(self, name: str, password: str) -> str:
        """Return a new session's token.

        Raises StrangerError, after the same time whether or not the name exists, and LockedOutError after too many
        wrong passwords, whatever the password.
        """
        digest = hash_token(f"name:{name}")
        lock = timedelta(minutes=self.lock_minutes)
        locked_until = self.store.accounts.begin_attempt(digest, allowed=self.attempts_allowed, lock=lock)
        if locked_until is not None:
            raise LockedOutError(retry_after_s=max(1.0, (locked_until - datetime.now(UTC)).total_seconds()))
        entry = self.store.accounts.password_entry(name) if _storable(name) else None
        known = entry is not None and entry.password_hash is not None
        if not self._matches(password, entry.password_hash if entry is not None else None) or not known:
            raise StrangerError("name or password is wrong")
        if entry is None:
            raise StrangerError("name or password is wrong")
        self.store.accounts.forget_attempts(digest)
        return self._open_session(entry.user, way="password")

    def sign_in_by_name(self, name: str) -> str:
        """Return a new session's token for whom an identity provider vouched. Raises StrangerError."""
        entry = self.store.accounts.password_entry(name) if _storable(name) else None
        if entry is None or entry.user.role == Role.SERVICE:
            raise StrangerError(f"the identity provider knows {name!r}; this service doesn't")
        return self._open_session(entry.user, way="provider")

    def set_up(self, token: str, password: str) -> str:
        """Spend a set-up link, set the password and return a new session's token. Raises StrangerError, InputError."""
        user = self.store.accounts.set_up(hash_token(token), password_hash=self._hashed(password))
        if user is None:
            raise StrangerError("this set-up link is unknown, used or expired; ask for a new one")
        return self._open_session(user, way="set_up")

    def sign_in_by_link(self, token: str) -> str:
        """Spend a one-time link and return a new session's token. Raises StrangerError."""
        user = self.store.accounts.use_link(hash_token(token))
        if user is None:
            raise StrangerError("this sign-in link is unknown, used or expired; ask for a new one")
        return self._open_session(user, way="link")

    def sign_out(self, session_token: str, *, user: User) -> None:
        self.store.accounts.end_session(hash_token(session_token), user=user)

    def recognise(
        self, scope: MutableMapping[str, Any], *, token: str | None, session_token: str | None
    ) -> Person | None:
        """Return whose token or session a request shows, and note in its ASGI scope whether it is somebody's.

        A token goes before a session. None for a stranger, of whom nothing is noted where nothing is shown.
        """
        if token is not None:
            person = self.person_of_token(token)
        elif session_token is not None:
            person = self.person_of_session(session_token)
        else:
            return None
        scope[RECOGNISED] = person is not None
        return person

    def person_of_session(self, session_token: str) -> Person | None:
        return self.store.accounts.person_of_session(hash_token(session_token))

    def person_of_token(self, token: str) -> Person | None:
        return self.store.accounts.person_of_token(hash_token(token))

    def make_token(
        self,
        user: User,
        *,
        label: str,
        by: str,
        scopes: frozenset[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Return a new API token; it can't be read again. scopes : None for all that the user's role may do"""
        token = f"er_{secrets.token_urlsafe(32)}"
        self.store.accounts.add_token(
            user, token_hash=hash_token(token), label=label, by=by, scopes=scopes, expires_at=expires_at
        )
        return token

    def make_link(self, user: User, *, by: str, kind: LinkKind = "sign_in") -> str:
        """Return the token of a new one-time link, to sign in or to set a password up.

        Raises ForbiddenError for a service.
        """
        if user.role == Role.SERVICE:
            raise ForbiddenError("a service has tokens and no page to sign in to")
        token = secrets.token_urlsafe(32)
        expires_at = datetime.now(UTC) + timedelta(minutes=self.link_minutes)
        self.store.accounts.add_link(user, token_hash=hash_token(token), by=by, expires_at=expires_at, kind=kind)
        return token

    def _open_session(self, user: User, *, way: WayIn) -> str:
        token = secrets.token_urlsafe(32)
        self.store.accounts.open_session(
            user,
            token_hash=hash_token(token),
            csrf_token=secrets.token_urlsafe(32),
            expires_at=datetime.now(UTC) + timedelta(hours=self.session_hours),
            way=way,
        )
        return token

    def _hashed(self, password: str) -> str:
        if len(password) < MIN_PASSWORD_LENGTH or not _storable(password):
            raise InputError(f"must have at least {MIN_PASSWORD_LENGTH} characters", field="password")
        return self._passwords.hash(password)

    def _matches(self, password: str, hashed: str | None) -> bool:
        if self._decoy is None:
            self._decoy = self._passwords.hash(secrets.token_urlsafe(16))
        try:
            return self._passwords.verify(password, hashed or self._decoy)
        except (UnknownHashError, UnicodeEncodeError):
            return False


def token_shown(authorization: str) -> str | None:
    """Return the API token in a request's Authorization, None where it holds none."""
    kind, _, token = authorization.partition(" ")
    return (token.strip() or None) if kind.lower() == "bearer" else None


def same_secret(given: str, expected: str) -> bool:
    """Compare without telling by the time taken how much is right."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _storable(text: str) -> bool:
    return "\x00" not in text and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
