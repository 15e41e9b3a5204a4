"""One's own desk over HTTP, the same as on the pages: saved views and shortcuts; what helps with one case."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Response

from models.domain import Identifier
from models.errors import InputError
from models.vocabulary import Ruling
from serving import shortcuts
from serving.api.documents import json_body_of
from serving.case_views import view_for
from serving.deps import Arbitrator, CaseKeyDep, HouseDep, JsonBody, Reader, StoreDep, parse_draft
from serving.desk_records import Precedents, Remedies, SavedView, Shortcuts, ShortcutsDraft, ViewDraft
from serving.errors import problem_responses
from serving.heat import heat_picture_of
from serving.refusals import UnknownError
from serving.remedy import asks, composed
from serving.saved_views import filters_of

router = APIRouter(tags=["desk"])

ViewName = Annotated[Identifier, Path()]
_READS = problem_responses(401, 403, 404, 422, 503)
_WRITES = problem_responses(401, 403, 404, 413, 422, 503, 507)
_VIEW = {"filters": {"claim": "damaged", "overdue": "1", "min": "500"}}


@router.get("/desk/views", responses=_READS)
def list_views(person: Reader, store: StoreDep) -> tuple[SavedView, ...]:
    """List one's saved views of the queue, by name."""
    kept = store.desk.preferences(of=person.user, kind="view")
    return tuple(SavedView(name=name, filters=filters_of(query)) for name, query in kept.items())


@router.put("/desk/views/{name:path}", responses=_WRITES, openapi_extra=json_body_of("ViewDraft", example=_VIEW))
def keep_view(person: Arbitrator, name: ViewName, body: JsonBody, store: StoreDep) -> SavedView:
    """Keep a view under a name; an earlier one of that name is replaced. At most 50 are kept."""
    draft = parse_draft(ViewDraft, body)
    store.desk.keep_preference(name, urlencode(list(draft.filters.items())), of=person.user, kind="view")
    return SavedView(name=name, filters=draft.filters)


@router.delete("/desk/views/{name:path}", status_code=204, responses=_WRITES)
def drop_view(person: Arbitrator, name: ViewName, store: StoreDep) -> None:
    """Delete a saved view."""
    if name not in store.desk.preferences(of=person.user, kind="view"):
        raise UnknownError("view", name)
    store.desk.drop_preference(name, of=person.user, kind="view")


@router.get("/desk/shortcuts", responses=_READS)
def get_shortcuts(person: Reader, store: StoreDep) -> Shortcuts:
    """Get the key of every action of the desk."""
    return Shortcuts(keys=shortcuts.chosen(store.desk.preferences(of=person.user, kind="shortcut")))


@router.put(
    "/desk/shortcuts",
    responses=_WRITES,
    openapi_extra=json_body_of("ShortcutsDraft", example={"keys": {"ruling.dismiss": "F2"}}),
)
def choose_shortcuts(person: Arbitrator, body: JsonBody, store: StoreDep) -> Shortcuts:
    """Choose one's own keys; what isn't named goes back to its default. A key used twice is refused."""
    keys = parse_draft(ShortcutsDraft, body).keys
    unknown = next((action for action in keys if action not in shortcuts.DEFAULTS), None)
    if unknown is not None:
        raise InputError("is no action of the desk", field=f"keys.{unknown}")
    own = shortcuts.check(keys)
    store.desk.replace_preferences(own, of=person.user, kind="shortcut")
    return Shortcuts(keys=shortcuts.chosen(own))


@router.get("/cases/{platform}/{case_id:path}/precedents", responses=_READS)
def get_precedents(person: Reader, key: CaseKeyDep, store: StoreDep) -> Precedents:
    """Get the nearest earlier rulings on comparable cases under the same rules (同案同判), and what is usual there."""
    return store.desk.precedents(key, reader=person.user)


@router.get("/cases/{platform}/{case_id:path}/remedies", responses=_READS)
def get_remedies(person: Reader, key: CaseKeyDep, house: HouseDep) -> Remedies:
    """Get what each ruling orders unless the decision says otherwise, and what evidence may be asked for.

    The suggested ruling orders what is suggested with it, the others what the rules order; on a case that is decided
    blind first, all do.
    """
    view = view_for(house, key, person=person)
    return Remedies(
        rulings=tuple(composed(view.case, ruling, suggestion=view.suggestion) for ruling in Ruling),
        asks=asks(view.case, suggestion=view.suggestion),
    )


@router.get(
    "/cases/{platform}/{case_id:path}/heat-maps/{photo_id:path}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "A transparent PNG to lay over the photo."},
        **_READS,
    },
)
def get_heat_map(person: Reader, key: CaseKeyDep, photo_id: Annotated[Identifier, Path()], house: HouseDep) -> Response:
    """Get where the machine sees damage in a photo. 404 while its word is hidden, switched off or not there yet."""
    return Response(heat_picture_of(house, key, photo_id, person=person), media_type="image/png")
