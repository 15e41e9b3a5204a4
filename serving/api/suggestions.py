"""Suggestions over HTTP: for a stored case, or for a case and photos that are sent and not kept."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData, UploadFile

from models.case_file import CaseFile
from models.domain import Case, Suggestion, parse_case
from models.errors import ImageError, ImageTooLargeError, InputError
from serving.api.documents import STATELESS_BODY
from serving.case_files import read_case_file
from serving.case_views import note_shown
from serving.deps import CaseKeyDep, Filer, HouseDep, Scorer, read_body
from serving.errors import problem_responses
from serving.house import House
from serving.records import CaseKey, CaseView
from serving.refusals import (
    ModelAbsentError,
    StaleVersionError,
    SuggestionHiddenError,
    SuggestionsOffError,
    UnknownError,
)

router = APIRouter(tags=["suggestions"])

_MAX_PHOTOS = 200


@router.post(
    "/cases/{platform}/{case_id:path}/suggestion",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 412, 422, 503, 507),
)
def suggest_now(person: Filer, key: CaseKeyDep, house: HouseDep) -> Suggestion:
    """Score a stored case now and keep the suggestion. 503 when no model is loaded.

    409 while suggestions of its kind are switched off. On a case that is decided blind first the suggestion is kept
    and 409 answered: it can be read once somebody has committed to a ruling.
    """
    if house.store.desk.is_off(key):
        raise SuggestionsOffError
    version = house.store.version(key)
    suggestion = house.scoring.suggest(read_case_file(version, house.photos))
    hidden = house.store.view(key).hidden
    if not hidden:
        # Before it is kept: the request has had no effect yet, should this fail.
        note_shown(house, key, suggestion, version=version.version, person=person)
    if not house.store.keep_suggestion(version, suggestion, by=person.user.name):
        raise StaleVersionError(judged=version.version, current=house.store.version(key).version)
    if hidden:
        raise SuggestionHiddenError
    return suggestion


async def sent_case_file(request: Request, house: HouseDep, person: Scorer) -> CaseFile:
    """Return the case file in the request. Raises InputError, BodyTooLargeError."""
    if house.scoring.suggester is None:
        raise ModelAbsentError
    settings = house.settings
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        return CaseFile(parse_case(await read_body(request, max_bytes=settings.max_case_bytes)), {})
    if kind != "multipart/form-data":
        raise InputError("must be multipart/form-data or application/json", field="Content-Type")
    await read_body(request, max_bytes=settings.max_request_bytes)
    async with request.form(max_files=_MAX_PHOTOS + 1, max_fields=2, max_part_size=settings.max_case_bytes) as form:
        case = await _case_in(form, max_bytes=settings.max_case_bytes)
        return CaseFile(case, await _photos_in(form, case))


@router.post(
    "/suggestions",
    responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 503, 507),
    openapi_extra=STATELESS_BODY,
)
def suggest_stateless(
    person: Scorer, file: Annotated[CaseFile, Depends(sent_case_file)], house: HouseDep
) -> Suggestion:
    """Score the case and photos of this request. Nothing of them is stored.

    409 for a case on file that is decided blind first, or while suggestions of its kind are switched off. On a case on
    file, that its suggestion was shown is noted as where the case is got.
    """
    on_file = _shown_on_file(house, file.case)
    _check_photos(house, file)
    suggestion = house.scoring.suggest(file)
    if on_file is not None:
        note_shown(house, on_file.key, suggestion, version=on_file.version, person=person)
    return suggestion


async def _case_in(form: FormData, *, max_bytes: int) -> Case:
    part = form.get("case")
    if part is None:
        raise InputError("is required: the case as JSON", field="case")
    if isinstance(part, str):
        return parse_case(part)
    return parse_case(await part.read(max_bytes + 1))


async def _photos_in(form: FormData, case: Case) -> dict[str, bytes]:
    """A photo's part is named by its photo_id; a file of that name (with or without an ending) will do too."""
    listed = {photo.photo_id for photo in case.photos}
    found: dict[str, bytes] = {}
    for name, part in form.multi_items():
        if name == "case":
            continue
        if not isinstance(part, UploadFile):
            raise InputError("must be a file", field=name)
        filename = part.filename or ""
        photo_id = next((x for x in (name, filename, filename.rsplit(".", 1)[0]) if x in listed), None)
        if photo_id is None:
            raise InputError("is the photo_id of no photo in the case", field=name)
        if photo_id in found:
            raise InputError("was sent twice", field=photo_id)
        found[photo_id] = await part.read()
    return found


def _shown_on_file(house: House, case: Case) -> CaseView | None:
    """Return the case of that id on file, if there is one: what the machine says of it may be shown.

    Raises SuggestionHiddenError, SuggestionsOffError.
    """
    if any(switch.covers(claim=case.claim, platform=case.platform) for switch in house.store.desk.switches()):
        raise SuggestionsOffError
    try:
        view = house.store.view(CaseKey(case.platform, case.case_id))
    except UnknownError:
        return None
    if view.hidden:
        raise SuggestionHiddenError
    return view


def _check_photos(house: House, file: CaseFile) -> None:
    for photo_id, data in file.photos.items():
        try:
            house.photo_intake.check(data)
        except ImageError as error:
            kind = ImageTooLargeError if isinstance(error, ImageTooLargeError) else ImageError
            raise kind(error.message, field=photo_id) from error
