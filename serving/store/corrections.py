"""Corrections of what the machine read in the evidence: by whom, when, against what. Kept for retraining."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Case, Frozen, Probability, Suggestion
from models.errors import InputError
from models.vocabulary import LABELS_OF_SPEAKER, Platform, Speaker
from serving.audit import Action
from serving.desk_records import Correction, CorrectionDraft
from serving.records import CaseKey, StoredVersion, User
from serving.refusals import ForbiddenError, UnknownError
from serving.store import trail
from serving.store.cases import row_of
from serving.tables import cases, corrections, users

_ACCOUNTS = {"buyer_statement": Speaker.BUYER, "seller_statement": Speaker.SELLER}


class _Kept(Frozen):
    """The part of a row that is kept as JSON."""

    said: CorrectionDraft
    machine_probability: Probability | None


def correct(
    connection: Connection,
    version: StoredVersion,
    draft: CorrectionDraft,
    *,
    suggestion: Suggestion | None,
    by: User,
    at: datetime,
) -> Correction:
    """Keep a correction of the current version. Raises ForbiddenError, InputError on a reference the case lacks."""
    if not by.role.decides:
        raise ForbiddenError(f"a correction needs an arbitrator or a lead, not the role {by.role.value}")
    _check_reference(version.case, draft)
    correction = Correction(
        correction_id=uuid.uuid4().hex,
        platform=version.case.platform,
        case_id=version.case.case_id,
        case_version=version.version,
        suggestion_id=suggestion.suggestion_id if suggestion else None,
        said=draft,
        machine_probability=_machine_said(suggestion, draft),
        corrected_by=by.name,
        corrected_at=at,
    )
    kept = _Kept(said=draft, machine_probability=correction.machine_probability)
    connection.execute(
        corrections.insert().values(
            correction_id=correction.correction_id,
            case_key=version.case_key,
            version=version.version,
            suggestion_id=correction.suggestion_id,
            kind=draft.kind,
            ref=draft.ref,
            payload=kept.model_dump_json(),
            by_user=by.user_key,
            at=at,
        )
    )
    trail.record(
        connection,
        Action.CORRECTED,
        actor=by.name,
        subject=str(CaseKey(version.case.platform, version.case.case_id)),
        at=at,
        detail={
            "correction_id": correction.correction_id,
            "version": version.version,
            "kind": draft.kind,
            "suggestion_id": correction.suggestion_id,
        },
        payload=kept,
    )
    return correction


def withdraw(connection: Connection, key: CaseKey, correction_id: str, *, by: User, at: datetime) -> Correction:
    """Take a correction back: by its author or a lead. It stays on record.

    Raises UnknownError, CaseErasedError, ForbiddenError.
    """
    row_of(connection, key, for_change=True)
    found = next((item for item in _read(connection, corrections.c.correction_id == correction_id)), None)
    if found is None or CaseKey(found.platform, found.case_id) != key:
        raise UnknownError("correction", correction_id)
    if by.name != found.corrected_by and by.role.value != "lead":
        raise ForbiddenError("only the person who corrected, or a lead, may take a correction back")
    if found.withdrawn_at is not None:
        return found
    connection.execute(corrections.update().where(corrections.c.correction_id == correction_id).values(withdrawn_at=at))
    trail.record(
        connection,
        Action.CORRECTION_WITHDRAWN,
        actor=by.name,
        subject=str(key),
        at=at,
        detail={"correction_id": correction_id},
    )
    return found.model_copy(update={"withdrawn_at": at})


def of_case(connection: Connection, case_key: int) -> tuple[Correction, ...]:
    """Return every correction of a case, oldest first, those taken back too."""
    return tuple(_read(connection, corrections.c.case_key == case_key))


def made_between(connection: Connection, *, since: datetime | None, until: datetime | None) -> Iterator[Correction]:
    """Yield the corrections of [since, until) that were not taken back, oldest first."""
    conditions: list[sa.ColumnElement[bool]] = [corrections.c.withdrawn_at.is_(None)]
    if since is not None:
        conditions.append(corrections.c.at >= since)
    if until is not None:
        conditions.append(corrections.c.at < until)
    yield from _read(connection, *conditions)


def _read(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Iterator[Correction]:
    query = (
        sa.select(corrections, cases.c.platform, cases.c.case_id, users.c.name)
        .join(cases, cases.c.id == corrections.c.case_key)
        .join(users, users.c.id == corrections.c.by_user)
        .where(*conditions)
        .order_by(corrections.c.id)
    )
    for row in connection.execute(query):
        yield _correction(row)


def _correction(row: Any) -> Correction:
    kept = _Kept.model_validate_json(row.payload)
    return Correction(
        correction_id=row.correction_id,
        platform=Platform(row.platform),
        case_id=row.case_id,
        case_version=row.version,
        suggestion_id=row.suggestion_id,
        said=kept.said,
        machine_probability=kept.machine_probability,
        corrected_by=row.name,
        corrected_at=row.at,
        withdrawn_at=row.withdrawn_at,
    )


def _check_reference(case: Case, draft: CorrectionDraft) -> None:
    photos = {photo.photo_id for photo in case.photos}
    if draft.kind == "photo" and draft.ref not in photos:
        raise InputError(f"{draft.ref!r} is no photo of the case", field="ref")
    if draft.kind == "listing_match" and not (draft.ref.count("|") and set(draft.ref.split("|")) <= photos):
        raise InputError("must name two photos of the case as listing|received", field="ref")
    if draft.kind != "statement":
        return
    speakers = {message.message_id: message.speaker for message in case.chat} | _ACCOUNTS
    if draft.ref not in speakers:
        raise InputError(f"{draft.ref!r} is no message of the case", field="ref")
    speaker = speakers[draft.ref]
    if draft.label not in LABELS_OF_SPEAKER[speaker]:
        raise InputError(f"{draft.label} can't be said by the {speaker}", field="label")


def _machine_said(suggestion: Suggestion | None, draft: CorrectionDraft) -> float | None:
    for piece in suggestion.evidence if suggestion else ():
        if piece.kind == "fact" or piece.kind != draft.kind:
            continue
        ref = piece.ref if isinstance(piece.ref, str) else "|".join(piece.ref)
        if ref == draft.ref and (piece.kind != "statement" or piece.label == draft.label):
            return piece.probability
    return None
