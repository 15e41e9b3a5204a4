"""Suggestions shown to people who may decide: what, to whom and when for the first time. Later times aren't noted.

Whether a decision was made with the machine's word in view is the service's own knowledge, not what a client says.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.domain import DecisionDraft, Suggestion
from models.errors import InputError
from serving.audit import Action
from serving.records import CaseKey, StoredVersion, User
from serving.store import cases, suggestions, trail
from serving.store.database import Database
from serving.tables import cases as case_table
from serving.tables import showings, users

_PATIENCE_S = 2.0
"""A view of a case waits no longer than this for others who write."""


class Showings:
    """database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def note(self, key: CaseKey, suggestion_id: str, *, version: int, to: User) -> None:
        """Note that a suggestion on a version of a case is shown to a person; noted already, it only reads.

        Raises UnknownError, CaseErasedError, StorageError.
        """
        with self.database.read() as connection:
            known = sa.select(showings.c.id).join(case_table, case_table.c.id == showings.c.case_key)
            known = known.where(
                case_table.c.platform == key.platform.value,
                case_table.c.case_id == key.case_id,
                showings.c.version == version,
                showings.c.suggestion_id == suggestion_id,
                showings.c.user_key == to.user_key,
            )
            if connection.execute(known).first() is not None:
                return
        with self.database.write(patience_s=_PATIENCE_S) as connection:
            case_key = cases.row_of(connection, key, for_change=True).id
            _insert(connection, key, case_key, suggestion_id, version=version, to=to, at=datetime.now(UTC))


def meant(
    connection: Connection, version: StoredVersion, draft: DecisionDraft, *, by: User, blind: bool
) -> tuple[Suggestion | None, bool]:
    """Return the suggestion that a draft was made with in view, and True; else the newest, to compare with, and False.

    In view is what the draft names, or else what the person was shown on this version; on a blind case nothing is.
    (None, True) where what was shown isn't kept: it was scored by hand, of other content or by another model.
    Raises InputError.
    """
    if blind and draft.suggestion_id is not None:
        raise InputError("must be null: this case is decided blind first", field="suggestion_id")
    case_key, number = version.case_key, version.version
    if draft.suggestion_id is None:
        shown = _shown(connection, version, to=by)
        among = shown or None
        return suggestions.newest(connection, case_key=case_key, version=number, among=among), bool(shown)
    found = suggestions.by_id(connection, case_key=case_key, version=number, suggestion_id=draft.suggestion_id)
    if found is None:
        raise InputError(f"{draft.suggestion_id!r} is no suggestion for version {number}", field="suggestion_id")
    return found, True


def shown_before(connection: Connection, case_key: int, *, version: int, to: str) -> bool:
    """Return whether a person was shown a suggestion on a version of a case before this one. to : a user's name"""
    query = (
        sa.select(showings.c.id)
        .join(users, users.c.id == showings.c.user_key)
        .where(showings.c.case_key == case_key, showings.c.version < version, users.c.name == to)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _shown(connection: Connection, version: StoredVersion, *, to: User) -> frozenset[str]:
    """Return the ids of the suggestions on a version that a person was shown."""
    query = sa.select(showings.c.suggestion_id).where(
        showings.c.case_key == version.case_key,
        showings.c.version == version.version,
        showings.c.user_key == to.user_key,
    )
    return frozenset(connection.execute(query).scalars())


def _insert(
    connection: Connection,
    key: CaseKey,
    case_key: int,
    suggestion_id: str,
    *,
    version: int,
    to: User,
    at: datetime,
) -> None:
    try:
        with connection.begin_nested():
            connection.execute(
                showings.insert().values(
                    case_key=case_key, version=version, suggestion_id=suggestion_id, user_key=to.user_key, at=at
                )
            )
    except IntegrityError:  # shown to the same person in two places at the same moment
        return
    trail.record(
        connection,
        Action.SUGGESTION_SHOWN,
        actor=to.name,
        subject=str(key),
        at=at,
        detail={"version": version, "suggestion_id": suggestion_id},
    )
