"""Cases as one person may see them: every view that leaves the service, over the API or on a page, is made here.

So is the note of whom a suggestion was shown to. Knows nothing of HTTP.
"""

from models.domain import Suggestion
from models.privacy import hide_parties
from serving.house import House
from serving.records import CaseKey, CaseStatus, CaseView, Person, QueuePage
from serving.refusals import StorageError


def view_for(house: House, key: CaseKey, *, person: Person) -> CaseView:
    """Return the case as it is shown to a person.

    A suggestion on it is noted as shown before it leaves. While that can't be noted, for want of room or because the
    database is locked, the case is shown without it (`withheld`): a ruling given meanwhile is truly the person's own.
    Raises UnknownError.
    """
    view = read_view(house, key, person=person)
    if view.suggestion is None or view.status == CaseStatus.ERASED:
        return view
    try:
        note_shown(house, key, view.suggestion, version=view.version, person=person)
    except StorageError:
        return view.model_copy(update={"suggestion": None, "suggestion_state": "withheld"})
    return view


def read_view(house: House, key: CaseKey, *, person: Person) -> CaseView:
    """Return the case for the service's own reading: nothing that a suggestion says may leave with it.

    The ids of order, buyer and seller are stand-ins unless the person needs to know them. Raises UnknownError.
    """
    view = house.store.view(key)
    if person.sees_parties:
        return view
    return view.model_copy(update={"case": hide_parties(view.case, sealer=house.sealer)})


def page_for(page: QueuePage, *, person: Person) -> QueuePage:
    """Return a page of the queue as it is shown to a person.

    To somebody who may decide, without what is suggested: it is on the case, where it is noted as shown.
    """
    if not person.user.role.decides:
        return page
    rows = tuple(row.model_copy(update={"ruling": None, "confidence": None}) for row in page.cases)
    return page.model_copy(update={"cases": rows})


def note_shown(house: House, key: CaseKey, suggestion: Suggestion, *, version: int, person: Person) -> None:
    """Note that a suggestion is shown to somebody who may decide; to others it may be shown unnoted.

    Raises UnknownError, CaseErasedError, StorageError.
    """
    if person.user.role.decides:
        house.store.showings.note(key, suggestion.suggestion_id, version=version, to=person.user)
