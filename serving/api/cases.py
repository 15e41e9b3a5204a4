"""Cases over HTTP: taking in, adding evidence, the queue, one case."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from models.domain import ShortText, parse_case
from models.errors import CaseFormatError
from models.privacy import unhide_parties
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_EVIDENCE, json_body_of
from serving.api.filters import Asked
from serving.case_views import page_for, view_for
from serving.deps import CaseKeyDep, Filer, HouseDep, JsonBody, Reader, StoreDep, parse_draft
from serving.errors import problem_responses
from serving.records import CaseKey, CaseStatus, CaseView, EvidenceDraft, Intake, Order, QueuePage

router = APIRouter(prefix="/cases", tags=["cases"])

_INTAKE_PROBLEMS: dict[int | str, dict[str, Any]] = {
    200: {"model": Intake, "description": "All of it was on file already."},
    201: {"model": Intake, "description": "Stored as a new version; a suggestion is on its way."},
    **problem_responses(401, 403, 409, 413, 422, 503, 507),
}


@router.post(
    "",
    status_code=201,
    responses=_INTAKE_PROBLEMS,
    openapi_extra=json_body_of("Case", example=EXAMPLE_CASE),
)
def take_in(person: Filer, body: JsonBody, store: StoreDep, response: Response) -> Intake:
    """Take in a case. The same case again answers 200 and changes nothing; another content answers 409."""
    return _answered(store.take_in(parse_case(body), by=person.user), response)


@router.get("", responses=problem_responses(401, 403, 422, 503))
def list_cases(
    person: Reader,
    store: StoreDep,
    asked: Asked,
    status: CaseStatus | None = None,
    search: Annotated[ShortText | None, Query(max_length=128)] = None,
    assigned_to: Annotated[ShortText | None, Query(max_length=128)] = None,
    order: Order = "opened",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> QueuePage:
    """List the queue, oldest case first, or by urgency: what happens by itself next, how much hangs on it, how sure
    the machine is (left out on blind cases). Ask for the next page with the cursor given. What is suggested stands on
    the case alone for people who may decide: there it is noted as shown.
    """
    wanted = asked.model_copy(update={"status": status, "search": search, "assigned_to": assigned_to})
    return page_for(store.queue(wanted, cursor=cursor, limit=limit, order=order), person=person)


@router.post(
    "/{platform}/{case_id:path}/evidence",
    status_code=201,
    responses={**_INTAKE_PROBLEMS, **problem_responses(404)},
    openapi_extra=json_body_of("EvidenceDraft", "Case", example=EXAMPLE_EVIDENCE),
)
def add_evidence(person: Filer, key: CaseKeyDep, body: JsonBody, house: HouseDep, response: Response) -> Intake:
    """Add evidence to an open case, or send the whole case anew: a new version, with a new suggestion.

    Entries on file already are skipped, so the same request again changes nothing. A decided case answers 409.
    """
    draft, store = _whole_or_part(body), house.store
    if isinstance(draft, EvidenceDraft):
        return _answered(store.add_evidence(key, draft, by=person.user), response)
    case = parse_case(body)
    if CaseKey(case.platform, case.case_id) != key:
        raise CaseFormatError([("case_id", f"is {case.platform}/{case.case_id}, the address says {key}")])
    case = unhide_parties(case, store.version(key).case, sealer=house.sealer)
    return _answered(store.replace_case(key, case, by=person.user), response)


@router.get("/{platform}/{case_id:path}", responses=problem_responses(401, 403, 404, 422, 503))
def get_case(person: Reader, key: CaseKeyDep, house: HouseDep, response: Response) -> CaseView:
    """Get a case at its current version, with its photos, suggestion and decisions. The ETag is for If-Match.

    The ids of order, buyer and seller are stable stand-ins unless one is a lead or an auditor. That a suggestion was
    shown to an arbitrator or a lead is noted the first time; while it can't be, the suggestion is `withheld`.
    """
    view = view_for(house, key, person=person)
    response.headers["ETag"] = view.etag
    return view


def _whole_or_part(body: bytes) -> EvidenceDraft | None:
    """Return the evidence drafted, None for a whole case: the one has no `case_id`."""
    try:
        return parse_draft(EvidenceDraft, body)
    except CaseFormatError as error:
        if any(field == "case_id" for field, _ in error.problems):
            return None
        raise


def _answered(intake: Intake, response: Response) -> Intake:
    response.status_code = 201 if intake.changed else 200
    response.headers["ETag"] = f'"{intake.version}"'
    return intake
