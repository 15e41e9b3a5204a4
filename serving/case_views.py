"""A case as one person may see it: every view that leaves the service, over the API or on a page, is made here.

Knows nothing of HTTP.
"""

from models.privacy import hide_parties
from serving.house import House
from serving.records import CaseKey, CaseView, Person


def view_for(house: House, key: CaseKey, *, person: Person) -> CaseView:
    """Return the case with stand-ins for the ids of order, buyer and seller, unless the person needs to know them.

    Raises UnknownError.
    """
    view = house.store.view(key)
    if person.sees_parties:
        return view
    return view.model_copy(update={"case": hide_parties(view.case, sealer=house.sealer)})
