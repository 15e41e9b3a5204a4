"""The remedy that goes with each ruling before anybody edits it: the suggestion's own, else what the rules order.

One press must record a whole ruling whether it follows the machine or not, so every ruling is composed alike. Knows no
page and no storage.
"""

from models.domain import Case, Remedy, Suggestion
from models.vocabulary import Responsible, Ruling

_BY_RULE: dict[Ruling, tuple[bool, Responsible, Remedy]] = {
    Ruling.REFUND: (True, Responsible.SELLER, Remedy(outbound_freight="seller")),
    Ruling.RETURN_AND_REFUND: (
        True,
        Responsible.SELLER,
        Remedy(outbound_freight="seller", return_freight="seller"),
    ),
    Ruling.PARTIAL_REFUND: (False, Responsible.SELLER, Remedy(outbound_freight="seller")),
    Ruling.REPLACE: (False, Responsible.SELLER, Remedy(outbound_freight="seller", return_freight="seller")),
    Ruling.DISMISS: (False, Responsible.BUYER, Remedy(outbound_freight="buyer")),
    Ruling.REQUEST_EVIDENCE: (False, Responsible.UNDETERMINED, Remedy()),
}
"""Whether all is refunded, who is responsible, who pays: whoever loses on fault (domain rule)."""


def composed(case: Case, ruling: Ruling, *, suggestion: Suggestion | None) -> tuple[Responsible, Remedy]:
    """Return who is responsible and the remedy. A partial refund has no sum where nobody named one.

    suggestion : the one on the screen; None where there is none
    """
    if suggestion is not None and suggestion.likeliest == ruling:
        return suggestion.responsible, suggestion.remedy
    whole, responsible, remedy = _BY_RULE[ruling]
    refund_minor = case.order.paid_minor if whole else None
    return responsible, remedy.model_copy(update={"refund_minor": refund_minor})
