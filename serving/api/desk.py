"""The desk over HTTP: holding cases, stepping aside, notices, appeals, the kill switch."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from models.domain import Identifier
from serving.api.documents import json_body_of
from serving.api.filters import Asked
from serving.case_views import view_for
from serving.deps import (
    Arbitrator,
    CaseKeyDep,
    Filer,
    HouseDep,
    JsonBody,
    Overseer,
    Reader,
    StoreDep,
    Switcher,
    parse_draft,
)
from serving.desk_records import Appeal, AppealDraft, Notice, NoticeText, StepAsideDraft, Switch, SwitchDraft
from serving.errors import problem_responses
from serving.records import CaseView, Hold

router = APIRouter(tags=["desk"])

NoticeId = Annotated[Identifier, Path()]
_ONE = "/cases/{platform}/{case_id:path}"
_READS = problem_responses(401, 403, 404, 422, 503)
_WRITES = problem_responses(401, 403, 404, 409, 413, 422, 503, 507)
_REASON = {"reason": "需要懂珠宝鉴定的同事"}
_TEXT = {"zh": "【处理结果通知】…", "en": "Notice of decision …"}


@router.post("/desk/next", responses={204: {"description": "Nothing waits."}, **_WRITES}, response_model=CaseView)
def take_next(person: Arbitrator, house: HouseDep, response: Response, asked: Asked) -> CaseView | Response:
    """Hold the most urgent case that you may decide and that nobody holds, and return it. 204 when nothing waits.

    What is assigned to you comes first. Reviews and appeals go to whoever hasn't decided on the case before. The ids of
    order, buyer and seller are stand-ins as where a case is got.
    """
    key = house.store.desk.take_next(by=person.user, wanted=asked)
    if key is None:
        return Response(status_code=204)
    view = view_for(house, key, person=person)
    response.headers["ETag"] = view.etag
    return view


@router.post(f"{_ONE}/hold", status_code=201, responses=_WRITES)
def hold(person: Arbitrator, key: CaseKeyDep, store: StoreDep) -> Hold:
    """Hold a case so that nobody else decides it meanwhile, or hold it longer. 409 when somebody else has it."""
    return store.desk.take(key, by=person.user)


@router.delete(f"{_ONE}/hold", status_code=204, responses=_WRITES)
def release(person: Arbitrator, key: CaseKeyDep, store: StoreDep) -> None:
    """Let a case go. A lead may let go somebody else's."""
    store.desk.release(key, by=person.user)


@router.post(
    f"{_ONE}/skip",
    status_code=204,
    responses=_WRITES,
    openapi_extra=json_body_of("StepAsideDraft", example=_REASON),
)
def skip(person: Arbitrator, key: CaseKeyDep, body: JsonBody, store: StoreDep) -> None:
    """Let a case go, with a reason; it isn't offered to you again for some hours."""
    store.desk.skip(key, reason=parse_draft(StepAsideDraft, body).reason, by=person.user)


@router.post(
    f"{_ONE}/recusal",
    status_code=204,
    responses=_WRITES,
    openapi_extra=json_body_of("StepAsideDraft", example={"reason": "认识卖家"}),
)
def recuse(person: Arbitrator, key: CaseKeyDep, body: JsonBody, store: StoreDep) -> None:
    """Recuse yourself (回避): the case isn't offered to you again and you can't hold it."""
    store.desk.recuse(key, reason=parse_draft(StepAsideDraft, body).reason, by=person.user)


@router.post(
    f"{_ONE}/appeal",
    status_code=201,
    responses=_WRITES,
    openapi_extra=json_body_of("AppealDraft", example={"filed_by": "seller", "reason": "有发货前视频"}),
)
def appeal(person: Filer, key: CaseKeyDep, body: JsonBody, store: StoreDep) -> Appeal:
    """File an appeal on a decided case (申诉): it waits for somebody who hasn't decided on it. Once a case."""
    return store.desk.file_appeal(key, parse_draft(AppealDraft, body), by=person.user)


@router.get(f"{_ONE}/notices", responses=_READS)
def list_notices(person: Reader, key: CaseKeyDep, store: StoreDep) -> tuple[Notice, ...]:
    """List a case's notices to the parties (处理结果), the newest first."""
    return store.desk.notices(key)


@router.put(f"{_ONE}/notices/{{notice_id}}", responses=_WRITES, openapi_extra=json_body_of("NoticeText", example=_TEXT))
def edit_notice(person: Arbitrator, key: CaseKeyDep, notice_id: NoticeId, body: JsonBody, store: StoreDep) -> Notice:
    """Edit a notice before it is sent."""
    return store.desk.edit_notice(key, notice_id, parse_draft(NoticeText, body), by=person.user)


@router.post(f"{_ONE}/notices/{{notice_id}}/send", responses=_WRITES)
def send_notice(person: Arbitrator, key: CaseKeyDep, notice_id: NoticeId, store: StoreDep) -> Notice:
    """Send a notice now instead of at the end of the undo window."""
    return store.desk.send_notice(key, notice_id, by=person.user)


@router.get("/switches", responses=_READS)
def list_switches(person: Overseer, store: StoreDep) -> tuple[Switch, ...]:
    """List the kill switches, the newest first, ended ones too."""
    return store.desk.switches()


@router.post(
    "/switches",
    status_code=201,
    responses=_WRITES,
    openapi_extra=json_body_of("SwitchDraft", example={"claim": "counterfeit", "reason": "模型复查中"}),
)
def switch_off(person: Switcher, body: JsonBody, store: StoreDep) -> Switch:
    """Switch suggestions off for a claim, a platform, or all: none is shown or computed; the desk goes on."""
    return store.desk.switch_off(parse_draft(SwitchDraft, body), by=person.user)


@router.delete("/switches/{switch_id}", responses=_WRITES)
def switch_on(person: Switcher, switch_id: Annotated[Identifier, Path()], store: StoreDep) -> Switch:
    """Switch suggestions on again; open cases that were left unscored are scored."""
    return store.desk.switch_on(switch_id, by=person.user)
