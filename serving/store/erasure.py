"""Erasing a case: every word, id and photo of people goes; that there was a case, and how it was ruled, stays.

The emptied case has another id, which leads nowhere, so that figures and the log of decisions keep their counts. What
other people's texts say of a person isn't found. Knows nothing of files outside the database.
"""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Case, Decision, Suggestion
from models.integrity import IntegrityReport
from models.privacy import emptied_case
from models.vocabulary import Platform
from serving.records import CaseKey, CaseStatus, StoredVersion
from serving.refusals import CaseUnderWayError
from serving.store import cases, jobs, trail
from serving.store.database import Database
from serving.store.photo_checks import named_by
from serving.tables import (
    appeals,
    audit_events,
    case_photos,
    case_versions,
    corrections,
    decision_events,
    notices,
    outbox,
    passes,
    photo_checks,
    photos,
    preferences,
    shadow_suggestions,
    showings,
    suggestions,
)
from serving.tables import cases as case_table
from serving.tables import idempotency_keys as keys

Side = Literal["buyer", "seller"]
_GONE = "erased"


@dataclass(frozen=True)
class ErasedCase:
    """stand_in : the id of what is left; photos : digests that no case has any more"""

    stand_in: str
    photos: tuple[str, ...]


class Erasures:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def is_known(self, key: CaseKey) -> bool:
        with self.database.read() as connection:
            query = sa.select(case_table.c.id).where(
                case_table.c.platform == key.platform.value, case_table.c.case_id == key.case_id
            )
            return connection.execute(query).first() is not None

    def cases_of(self, side: Side, party_id: str, *, platform: Platform) -> list[CaseKey]:
        """Return the cases in which that party is buyer or seller, in any of their versions. Reads every case."""
        needle = f'"{side}_id":{json.dumps(party_id, ensure_ascii=False)}'
        query = (
            sa.select(case_table.c.case_id, case_versions.c.payload)
            .join(case_table, case_table.c.id == case_versions.c.case_key)
            .where(case_table.c.platform == platform.value, case_versions.c.payload.contains(needle, autoescape=True))
            .order_by(case_table.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        of_party = [
            row.case_id
            for row in rows
            if getattr(Case.model_validate_json(row.payload).order, f"{side}_id") == party_id
        ]
        return [CaseKey(platform, case_id) for case_id in dict.fromkeys(of_party)]

    def why_not_yet(self, key: CaseKey, *, delivering: bool) -> str | None:
        """Return why a case is still under way, None when it is over. Raises UnknownError.

        delivering : whether messages leave this service, so that those about the case are waited for
        """
        with self.database.read() as connection:
            return _why_not_yet(connection, cases.row_of(connection, key), key, delivering=delivering)

    def erase(
        self, key: CaseKey, *, by: str, reason: str, delivering: bool = True, under_way_too: bool = False
    ) -> ErasedCase:
        """Erase what a case holds; only its kind, sums, rulings and times are left.

        reason : for the audit trail, so without personal data
        Raises UnknownError, CaseUnderWayError.
        """
        with self.database.write() as connection:
            row = cases.row_of(connection, key, for_change=True)
            why = None if under_way_too else _why_not_yet(connection, row, key, delivering=delivering)
            if why is not None:
                raise CaseUnderWayError(platform=key.platform, case_id=key.case_id, why=why)
            at, stand_in = datetime.now(UTC), f"{_GONE}-{uuid.uuid4().hex[:16]}"
            _empty_rulings(connection, row.id, stand_in)
            dropped = drop_photos(connection, row.id)
            _empty_versions(connection, row.id, stand_in)
            _drop_answers(connection, row.id, key)
            _drop_mentions(connection, row.id, key)
            _drop_around(connection, row.id, key)
            # After the outbox: whoever delivers holds the message, not the case, until its entry is written.
            detail: trail.Detail = {"reason": reason, "case": stand_in}
            trail.erase(
                connection,
                audit_events.c.subject == str(key),
                erasure=f"{key.platform}/{stand_in}",
                actor=by,
                at=at,
                detail=detail,
            )
            connection.execute(
                case_table.update()
                .where(case_table.c.id == row.id)
                .values(
                    case_id=stand_in,
                    title="",
                    status=CaseStatus.ERASED.value,
                    suggestion_problem=None,
                    assigned_to=None,
                    receipt_confirmed=None,
                    signed_by=None,
                    due_at=None,
                    clock=None,
                )
            )
            return ErasedCase(stand_in, dropped)

    def unnamed(self, digests: Collection[str]) -> set[str]:
        """Return the digests that no case has."""
        with self.database.read() as connection:
            query = sa.select(photos.c.digest).where(photos.c.digest.in_(digests))
            return set(digests) - set(connection.execute(query).scalars())

    def scrub(self) -> bool:
        """Overwrite what was deleted inside the database's own files; return whether all of it could be."""
        return self.database.scrub()


def drop_photos(connection: Connection, case_key: int) -> tuple[str, ...]:
    """Let a case go without its photos; return the digests that no other case has, whose rows go too.

    No other case gets one of them, or goes without it, before this transaction ends.
    """
    of_case = sa.select(case_photos.c.digest).where(case_photos.c.case_key == case_key)
    locked = sa.select(photos.c.digest).where(photos.c.digest.in_(of_case)).order_by(photos.c.digest)
    digests = connection.execute(locked.with_for_update()).scalars().all()
    connection.execute(case_photos.delete().where(case_photos.c.case_key == case_key))
    kept = set(connection.execute(sa.select(case_photos.c.digest).where(case_photos.c.digest.in_(digests))).scalars())
    gone = tuple(digest for digest in digests if digest not in kept)
    connection.execute(photos.delete().where(photos.c.digest.in_(gone)))
    return gone


def _why_not_yet(connection: Connection, row: Any, key: CaseKey, *, delivering: bool) -> str | None:
    if row.status != CaseStatus.DECIDED:
        return f"it is {row.status}"
    draft = sa.select(notices.c.id).where(notices.c.case_key == row.id, notices.c.state == "draft")
    if connection.execute(draft.limit(1)).first() is not None:
        return "its notice hasn't left"
    waiting = sa.select(outbox.c.id).where(outbox.c.subject == str(key), outbox.c.state != "delivered")
    if delivering and connection.execute(waiting.limit(1)).first() is not None:
        return "messages about it wait to be delivered"
    return None


def _empty_versions(connection: Connection, case_key: int, stand_in: str) -> None:
    query = sa.select(case_versions).where(case_versions.c.case_key == case_key)
    for row in connection.execute(query).all():
        empty = emptied_case(Case.model_validate_json(row.payload), case_id=stand_in)
        digest = cases.content_digest(StoredVersion(case_key, empty, row.version, {}))
        connection.execute(
            case_versions.update()
            .where(case_versions.c.id == row.id)
            .values(payload=empty.model_dump_json(), content_digest=digest)
        )


def _empty_rulings(connection: Connection, case_key: int, stand_in: str) -> None:
    """Empty suggestions and decisions. Ids of suggestions are derived from the content, so they change together."""
    renamed: dict[str, str] = {}
    for row in connection.execute(sa.select(suggestions).where(suggestions.c.case_key == case_key)).all():
        old = Suggestion.model_validate_json(row.payload)
        new_id = renamed.setdefault(old.suggestion_id, f"{_GONE}-{uuid.uuid4().hex[:16]}")
        emptied = old.model_copy(
            update={
                "case_id": stand_in,
                "suggestion_id": new_id,
                "input_digest": _GONE,
                "evidence": (),
                "ledger": tuple(step.model_copy(update={"evidence": ()}) for step in old.ledger),
                "missing_evidence": (),
            }
        )
        connection.execute(
            suggestions.update()
            .where(suggestions.c.id == row.id)
            .values(suggestion_id=new_id, payload=emptied.model_dump_json())
        )
    for row in connection.execute(sa.select(decision_events).where(decision_events.c.case_key == case_key)).all():
        payload = {"reason": ""} if row.is_end else _emptied(row.payload, stand_in, renamed)
        connection.execute(
            decision_events.update().where(decision_events.c.id == row.id).values(payload=json.dumps(payload))
        )


def _emptied(payload: str, stand_in: str, renamed: dict[str, str]) -> dict[str, Any]:
    decision = Decision.model_validate_json(payload)
    request = decision.request
    return decision.model_copy(
        update={
            "case_id": stand_in,
            "reason": "",
            "distinguishes": "",
            "request": request.model_copy(
                update={"what": "", "text": request.text.model_copy(update={"zh": "", "en": ""})}
            )
            if request
            else None,
            "suggestion_id": renamed.get(decision.suggestion_id) if decision.suggestion_id else None,
            "input_digest": None,
        }
    ).model_dump(mode="json")


def _drop_around(connection: Connection, case_key: int, key: CaseKey) -> None:
    """Drop or empty what else is kept about a case."""
    for table in (corrections, photo_checks, shadow_suggestions, showings):
        connection.execute(table.delete().where(table.c.case_key == case_key))
    jobs.forget(connection, case_key=case_key)
    connection.execute(outbox.delete().where(outbox.c.subject == str(key)))
    for table in (passes, appeals):
        connection.execute(table.update().where(table.c.case_key == case_key).values(reason=""))
    of_case = notices.update().where(notices.c.case_key == case_key)
    connection.execute(of_case.where(notices.c.state == "draft").values(state="void"))
    connection.execute(of_case.values(zh="", en=""))


def _drop_answers(connection: Connection, case_key: int, key: CaseKey) -> None:
    """Drop the answers kept for repeated requests that name the case, its decisions, notices or corrections."""
    ids = [key.case_id]
    for column in (decision_events.c.event_id, notices.c.notice_id, corrections.c.correction_id):
        ids += connection.execute(sa.select(column).where(column.table.c.case_key == case_key)).scalars()
    names = (json.dumps(json.dumps(one, ensure_ascii=False), ensure_ascii=False)[1:-1] for one in ids)
    connection.execute(keys.delete().where(sa.or_(*(keys.c.answer.contains(name, autoescape=True) for name in names))))


def _drop_mentions(connection: Connection, case_key: int, key: CaseKey) -> None:
    """Drop saved views that look for the case, and findings about other cases' photos that name it.

    The case's own findings are locked with them: of two cases that name each other, both may be erased at once.
    """
    name = json.dumps(key.case_id, ensure_ascii=False)
    searched = urlencode({"search": key.case_id})
    connection.execute(preferences.delete().where(preferences.c.value.contains(searched, autoescape=True)))
    naming = sa.or_(photo_checks.c.case_key == case_key, photo_checks.c.payload.contains(name, autoescape=True))
    query = sa.select(photo_checks).where(naming).order_by(photo_checks.c.id).with_for_update()
    for row in connection.execute(query).all():
        report = IntegrityReport.model_validate_json(row.payload)
        others = tuple(finding for finding in report.findings if named_by(finding) != key)
        connection.execute(
            photo_checks.update()
            .where(photo_checks.c.id == row.id)
            .values(payload=report.model_copy(update={"findings": others}).model_dump_json())
        )
