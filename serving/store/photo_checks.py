"""Fingerprints of stored photos, where a photo stands, and what was found about the photos of a case version."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from models.domain import Case, Photo
from models.integrity import IntegrityReport, ReusedPhoto
from serving.audit import Action
from serving.records import CaseStatus, StoredVersion
from serving.store import decisions, trail
from serving.store.database import Database
from serving.tables import case_photos, case_versions, cases, photo_checks, photos


@dataclass(frozen=True)
class Fingerprinted:
    digest: str
    fingerprint: bytes
    created_at: datetime


class PhotoChecks:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def fingerprints_since(self, since: datetime | None) -> list[Fingerprinted]:
        """Return the fingerprints kept at that time or later; all of them for None."""
        query = sa.select(photos.c.digest, photos.c.fingerprint, photos.c.created_at).where(
            photos.c.fingerprint.is_not(None)
        )
        if since is not None:
            query = query.where(photos.c.created_at >= since)
        with self.database.read() as connection:
            return [Fingerprinted(row.digest, row.fingerprint, row.created_at) for row in connection.execute(query)]

    def places_of(self, digest: str, *, apart_from: int, limit: int) -> list[tuple[Case, Photo]]:
        """Return where a photo stands in the current versions of other cases than `apart_from`, oldest case first."""
        query = (
            sa.select(case_versions.c.payload, case_photos.c.photo_id)
            .join(
                case_versions,
                sa.and_(
                    case_versions.c.case_key == case_photos.c.case_key,
                    case_versions.c.version == case_photos.c.version,
                ),
            )
            .join(cases, sa.and_(cases.c.id == case_photos.c.case_key, cases.c.version == case_photos.c.version))
            .where(case_photos.c.digest == digest, case_photos.c.case_key != apart_from)
            .order_by(cases.c.id)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = [(Case.model_validate_json(row.payload), row.photo_id) for row in connection.execute(query)]
        return [(case, photo) for case, photo_id in rows for photo in case.photos if photo.photo_id == photo_id]

    def keep(self, version: StoredVersion, report: IntegrityReport, *, by: str) -> None:
        """Keep the newest report on a version; nothing on, and no finding that names, a case that was erased meanwhile.

        Two that come at once are kept one after the other.
        """
        at = datetime.now(UTC)
        ours = sa.and_(photo_checks.c.case_key == version.case_key, photo_checks.c.version == version.version)
        with self.database.write() as connection:
            found = connection.execute(_with_those_named(version, report)).all()
            if all(row.id != version.case_key for row in found):
                return
            there = {None, *((row.platform, row.case_id) for row in found)}
            findings = tuple(finding for finding in report.findings if named_by(finding) in there)
            connection.execute(photo_checks.delete().where(ours))
            connection.execute(
                photo_checks.insert().values(
                    case_key=version.case_key,
                    version=version.version,
                    payload=report.model_copy(update={"findings": findings}).model_dump_json(),
                    created_at=at,
                )
            )
            trail.record(
                connection,
                Action.PHOTOS_CHECKED,
                actor=by,
                subject=f"{version.case.platform}/{version.case.case_id}",
                at=at,
                detail={"version": version.version, "n_findings": len(findings)},
            )

    def is_hidden(self, version: StoredVersion) -> bool:
        """Return whether the findings mustn't show yet: the case is decided blind first and nobody has committed."""
        with self.database.read() as connection:
            return decisions.is_hidden(connection, version.case_key)

    def report_on(self, version: StoredVersion) -> IntegrityReport | None:
        """Return what was found about the photos of a version; None while nobody has looked."""
        query = sa.select(photo_checks.c.payload).where(
            photo_checks.c.case_key == version.case_key, photo_checks.c.version == version.version
        )
        with self.database.read() as connection:
            payload = connection.execute(query).scalar_one_or_none()
        return IntegrityReport.model_validate_json(payload) if payload is not None else None


def named_by(finding: object) -> tuple[str, str] | None:
    """Return platform and id of the other case that a finding names."""
    return (finding.other_platform, finding.other_case_id) if isinstance(finding, ReusedPhoto) else None


def _with_those_named(version: StoredVersion, report: IntegrityReport) -> sa.Select[tuple[int, str, str]]:
    """Lock a version's case and those that its report names, as far as they aren't erased, in one order."""
    named = [key for key in map(named_by, report.findings) if key is not None]
    wanted = sa.or_(cases.c.id == version.case_key, sa.tuple_(cases.c.platform, cases.c.case_id).in_(named))
    query = sa.select(cases.c.id, cases.c.platform, cases.c.case_id)
    return query.where(wanted, cases.c.status != CaseStatus.ERASED).order_by(cases.c.id).with_for_update()
