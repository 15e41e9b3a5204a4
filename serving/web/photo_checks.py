"""The page of what a case's photos tell about themselves: each finding with what it can and can't show."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from models.integrity import EditingTrace, IntegrityFinding, ListingPicture, PhotoTime, ReusedPhoto
from serving.api.photo_checks import UNSEEN, photo_checks_of
from serving.deps import CaseKeyDep, HouseDep, PageReader
from serving.web.rendering import render, words_for
from serving.words import Words, moment, percent

router = APIRouter(include_in_schema=False)


@router.get("/cases/{platform}/{case_id:path}/photo-checks")
def show_photo_checks(request: Request, house: HouseDep, person: PageReader, key: CaseKeyDep) -> HTMLResponse:
    """Show the findings on the current version, photo by photo."""
    t = words_for(request)
    checks = photo_checks_of(house, key, user=person.user)
    findings = checks.report.findings if checks.report else ()
    return render(
        request,
        "photo_checks.html",
        person=person,
        key=key,
        checks=checks,
        said=[(finding, detail(finding, t), checks.meanings[finding.kind][t.language]) for finding in findings],
    )


def detail(finding: IntegrityFinding, t: Words) -> str:
    """Return what was found, in one line of the page's language."""
    if isinstance(finding, ReusedPhoto):
        where = (
            t("checks.unseen_case")
            if finding.other_case_id == UNSEEN
            else f"{finding.other_platform}/{finding.other_case_id} ({finding.other_ref})"
        )
        who = [t(f"checks.{name}") for name in ("same_buyer", "same_seller") if getattr(finding, name)]
        return " · ".join([where, *who, _alike(finding, t)])
    if isinstance(finding, ListingPicture):
        return f"{finding.listing_ref} · {_alike(finding, t)}"
    if isinstance(finding, PhotoTime):
        zone = "" if finding.zone_known else f" ({t('checks.no_zone')})"
        return t("checks." + finding.problem).format(
            taken=moment(finding.taken_at) + zone, against=moment(finding.against_at)
        )
    if isinstance(finding, EditingTrace):
        return finding.software or t("checks.thumbnail")
    return t("checks.absent_lines").format(n=finding.n_lines) + " " + " / ".join(f"“{line}”" for line in finding.absent)


def _alike(finding: ReusedPhoto | ListingPicture, t: Words) -> str:
    mirrored = f", {t('checks.mirrored')}" if finding.mirrored else ""
    return t("checks.overlap").format(share=percent(finding.overlap)) + mirrored
