"""Cases and their versions: taking in, adding evidence and photos, reading one version."""

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.domain import Case, Photo
from models.errors import CaseFormatError
from models.vocabulary import Platform
from serving.audit import Action
from serving.records import CaseKey, CaseStatus, Intake, NewPhoto, PhotoOnFile, StoredVersion, SuggestionState
from serving.refusals import CaseClosedError, CaseErasedError, CaseExistsError, UnknownError
from serving.store import jobs, order, precedents, trail
from serving.tables import case_photos, case_versions, cases, photos

_SETTLE_S = 1.0
"""Wait before scoring a case whose photos are still coming in."""


def row_of(connection: Connection, key: CaseKey, *, for_change: bool = False) -> Any:
    """Return the row of a case. Raises UnknownError and, for a change, CaseErasedError."""
    query = sa.select(cases).where(cases.c.platform == key.platform.value, cases.c.case_id == key.case_id)
    row = connection.execute(query.with_for_update() if for_change else query).first()
    if row is None:
        raise UnknownError("case", str(key))
    if for_change and row.status == CaseStatus.ERASED:
        raise CaseErasedError(platform=key.platform, case_id=key.case_id)
    return row


def key_of(connection: Connection, case_key: int) -> CaseKey:
    row = connection.execute(sa.select(cases.c.platform, cases.c.case_id).where(cases.c.id == case_key)).one()
    return CaseKey(Platform(row.platform), row.case_id)


def locked(connection: Connection, case_key: int) -> Any:
    """Return the row of a case, erased or not, that nobody else changes before this transaction ends."""
    return connection.execute(sa.select(cases).where(cases.c.id == case_key).with_for_update()).one()


def version_of(connection: Connection, *, case_key: int, version: int) -> StoredVersion:
    payload = connection.execute(
        sa.select(case_versions.c.payload).where(
            case_versions.c.case_key == case_key, case_versions.c.version == version
        )
    ).scalar_one()
    rows = connection.execute(
        sa.select(case_photos.c.photo_id, case_photos.c.digest).where(
            case_photos.c.case_key == case_key, case_photos.c.version == version
        )
    )
    digests = {row.photo_id: row.digest for row in rows}
    return StoredVersion(case_key, Case.model_validate_json(payload), version, digests)


def current(connection: Connection, key: CaseKey, *, for_change: bool = False) -> StoredVersion:
    """Return the current version. Raises UnknownError."""
    row = row_of(connection, key, for_change=for_change)
    return version_of(connection, case_key=row.id, version=row.version)


def take_in(connection: Connection, case: Case, *, by: str, at: datetime, blind: bool = False) -> Intake:
    """Store a new case as version 1; the same case again changes nothing.

    blind : what the machine says of it stays hidden until somebody has committed to a ruling
    Raises CaseExistsError when the case is known and never had this content.
    """
    key = CaseKey(case.platform, case.case_id)
    payload = case.model_dump_json()
    known = connection.execute(
        sa.select(cases).where(cases.c.platform == key.platform.value, cases.c.case_id == key.case_id)
    ).first()
    if known is not None:
        same = connection.execute(
            sa.select(case_versions.c.id)
            .where(case_versions.c.case_key == known.id, case_versions.c.payload == payload)
            .limit(1)
        ).first()
        if same is None:
            raise CaseExistsError(platform=key.platform, case_id=key.case_id)
        return Intake(
            platform=key.platform,
            case_id=key.case_id,
            version=known.version,
            changed=False,
            suggestion_state=known.suggestion_state,
        )
    try:
        with connection.begin_nested():
            inserted = connection.execute(
                cases.insert().values(
                    platform=key.platform.value,
                    case_id=key.case_id,
                    status=CaseStatus.OPEN.value,
                    version=0,
                    suggestion_state="pending",
                    created_at=at,
                    updated_at=at,
                    blind=blind,
                    **_summary(case),
                )
            )
    except IntegrityError:  # the same case came in at the same moment, on a database with several writers
        return take_in(connection, case, by=by, at=at, blind=blind)
    case_key = (inserted.inserted_primary_key or (0,))[0]
    return _write_version(connection, StoredVersion(case_key, case, 1, {}), by=by, at=at, action=Action.CASE_TAKEN_IN)


def change(connection: Connection, old: StoredVersion, case: Case, *, by: str, at: datetime) -> Intake:
    """Store `case` as the next version of `old`, keeping the photos that it still lists.

    Nothing changes if the content is the same. Raises CaseClosedError on a decided case.
    """
    listed = {photo.photo_id for photo in case.photos}
    digests = {photo_id: digest for photo_id, digest in old.digests.items() if photo_id in listed}
    _lock_photos(connection, digests.values())
    new = StoredVersion(old.case_key, case, old.version + 1, digests)
    return _next_version(connection, old, new, by=by, at=at, action=Action.EVIDENCE_ADDED)


def add_photo(
    connection: Connection, old: StoredVersion, photo_id: str, photo: NewPhoto, *, by: str, at: datetime
) -> Intake:
    """Store which bytes a listed photo has, as a new version. Raises UnknownError, CaseClosedError."""
    if all(listed.photo_id != photo_id for listed in old.case.photos):
        raise UnknownError("photo", photo_id)
    keep_photo(connection, photo, beside=old.digests.values(), at=at)
    new = StoredVersion(old.case_key, old.case, old.version + 1, {**old.digests, photo_id: photo.digest})
    return _next_version(connection, old, new, by=by, at=at, action=Action.PHOTO_STORED)


def keep_photo(connection: Connection, photo: NewPhoto, *, beside: Collection[str] = (), at: datetime) -> None:
    """Keep the row of a photo; neither it nor those `beside` it can be erased before this transaction ends."""
    try:
        with connection.begin_nested():
            if photo.digest not in _lock_photos(connection, {photo.digest, *beside}):
                connection.execute(
                    photos.insert().values(
                        digest=photo.digest,
                        n_bytes=photo.n_bytes,
                        width=photo.width,
                        height=photo.height,
                        fingerprint=photo.fingerprint,
                        created_at=at,
                    )
                )
    except IntegrityError:  # the same bytes were filed elsewhere at the same moment
        keep_photo(connection, photo, beside=beside, at=at)


def _lock_photos(connection: Connection, digests: Collection[str]) -> Sequence[str]:
    """Return which of the photos there are, none of them erased before this transaction ends.

    In the order in which an erasure locks them, so that neither waits for the other.
    """
    query = sa.select(photos.c.digest).where(photos.c.digest.in_(digests)).order_by(photos.c.digest)
    return connection.execute(query.with_for_update(read=True, key_share=True)).scalars().all()


def oldest_photos(connection: Connection, *, limit: int) -> list[str]:
    """Return the digests of the photos that were filed first."""
    return list(connection.execute(sa.select(photos.c.digest).order_by(photos.c.created_at).limit(limit)).scalars())


def photos_on_file(connection: Connection, version: StoredVersion) -> tuple[PhotoOnFile, ...]:
    """Return every photo the case lists, present or absent, in its order."""
    rows = connection.execute(sa.select(photos).where(photos.c.digest.in_(set(version.digests.values()))))
    known = {row.digest: row for row in rows}
    return tuple(_on_file(photo, known.get(version.digests.get(photo.photo_id))) for photo in version.case.photos)


def _on_file(photo: Photo, row: Any) -> PhotoOnFile:
    if row is None:
        return PhotoOnFile(photo_id=photo.photo_id, present=False)
    return PhotoOnFile(
        photo_id=photo.photo_id,
        present=True,
        digest=row.digest,
        width=row.width,
        height=row.height,
        n_bytes=row.n_bytes,
    )


def content_digest(version: StoredVersion) -> str:
    """Return "sha256:…" over the case and its photos' digests."""
    content = [version.case.model_dump(mode="json"), version.digests]
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _summary(case: Case) -> dict[str, Any]:
    return {
        "claim": case.claim.value,
        "requested": case.requested,
        "opened_at": case.opened_at,
        "paid_minor": case.order.paid_minor,
        "currency": case.order.currency,
        "title": case.listing.title[:500],
        **precedents.facts_of(case),
    }


def _next_version(
    connection: Connection, old: StoredVersion, new: StoredVersion, *, by: str, at: datetime, action: Action
) -> Intake:
    row = connection.execute(sa.select(cases).where(cases.c.id == old.case_key)).one()
    key = CaseKey(old.case.platform, old.case.case_id)
    if (new.case.platform, new.case.case_id) != key:
        raise CaseFormatError([("case_id", f"this address is of case {key}")])
    if content_digest(new) == content_digest(old):
        state: SuggestionState = row.suggestion_state
        return Intake(
            platform=key.platform, case_id=key.case_id, version=old.version, changed=False, suggestion_state=state
        )
    if row.status == CaseStatus.DECIDED:
        raise CaseClosedError(platform=key.platform, case_id=key.case_id)
    return _write_version(connection, new, by=by, at=at, action=action)


def _write_version(connection: Connection, new: StoredVersion, *, by: str, at: datetime, action: Action) -> Intake:
    digest = content_digest(new)
    connection.execute(
        case_versions.insert().values(
            case_key=new.case_key,
            version=new.version,
            payload=new.case.model_dump_json(),
            content_digest=digest,
            created_by=by,
            created_at=at,
        )
    )
    if new.digests:
        connection.execute(
            case_photos.insert(),
            [
                {"case_key": new.case_key, "version": new.version, "photo_id": photo_id, "digest": photo}
                for photo_id, photo in new.digests.items()
            ],
        )
    connection.execute(
        cases.update()
        .where(cases.c.id == new.case_key)
        .values(
            version=new.version,
            suggestion_state="pending",
            suggestion_problem=None,
            updated_at=at,
            **_summary(new.case),
        )
    )
    order.place(connection, new.case_key, new.case, at=at)
    awaited = len(new.case.photos) > len(new.digests)
    jobs.ask_score(connection, case_key=new.case_key, version=new.version, at=at, delay_s=_SETTLE_S if awaited else 0)
    key = CaseKey(new.case.platform, new.case.case_id)
    trail.record(
        connection,
        action,
        actor=by,
        subject=str(key),
        at=at,
        detail={"version": new.version, "content_digest": digest},
    )
    return Intake(
        platform=key.platform, case_id=key.case_id, version=new.version, changed=True, suggestion_state="pending"
    )
