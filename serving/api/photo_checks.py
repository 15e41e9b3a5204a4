"""What a case's photos tell about themselves, over HTTP. Evidence quality, never a verdict; it moves no suggestion."""

from typing import Literal

from fastapi import APIRouter

from models.domain import Frozen
from models.integrity import IntegrityReport, Meaning, ReusedPhoto, meanings
from models.vocabulary import Platform
from serving.deps import CaseKeyDep, Filer, HouseDep, Reader
from serving.errors import problem_responses
from serving.house import House
from serving.records import CaseKey, User

router = APIRouter(prefix="/cases", tags=["photos"])

UNSEEN = "—"


class PhotoChecks(Frozen):
    """The findings on a case version, and what each kind can and can't show.

    report : null while nobody has looked, or while the case is decided blind first
    """

    version: int
    hidden: bool
    report: IntegrityReport | None
    meanings: dict[str, dict[Literal["zh", "en"], Meaning]]


@router.get("/{platform}/{case_id:path}/photo-checks", responses=problem_responses(401, 403, 404, 422, 503))
def get_photo_checks(person: Reader, key: CaseKeyDep, house: HouseDep) -> PhotoChecks:
    """Get what was found about the photos of the case's current version."""
    return photo_checks_of(house, key, user=person.user)


@router.post("/{platform}/{case_id:path}/photo-checks", responses=problem_responses(401, 403, 404, 422, 503, 507))
def check_photos(person: Filer, key: CaseKeyDep, house: HouseDep) -> PhotoChecks:
    """Look at the photos now, e.g. after other cases came in. A worker looks once by itself after scoring."""
    house.inspector.inspect(house.store.version(key), by=person.user.name)
    return photo_checks_of(house, key, user=person.user)


def photo_checks_of(house: House, key: CaseKey, *, user: User) -> PhotoChecks:
    """Return the checks as this user may see them: other cases outside the user's queues stay unnamed."""
    version = house.store.version(key)
    hidden = house.store.photo_checks.is_hidden(version)
    report = None if hidden else house.store.photo_checks.report_on(version)
    if report is not None:
        findings = [
            finding.model_copy(update={"other_platform": UNSEEN, "other_case_id": UNSEEN, "other_ref": UNSEEN})
            if isinstance(finding, ReusedPhoto) and not _sees(house, user, finding)
            else finding
            for finding in report.findings
        ]
        report = report.model_copy(update={"findings": tuple(findings)})
    return PhotoChecks(version=version.version, hidden=hidden, report=report, meanings=meanings())


def _sees(house: House, user: User, finding: ReusedPhoto) -> bool:
    platform = Platform(finding.other_platform)
    return not user.queues or user.sees(platform, house.store.claim_of(CaseKey(platform, finding.other_case_id)))
