"""What each ruling orders before anybody edits it: the suggestion's own remedy, else what the rules order.

One press, or a draft that names a ruling alone, must record a whole decision whether it follows the machine or not: so
every ruling is composed alike, for the page and the API. Knows no page and no storage.
"""

from models.domain import Case, DecisionDraft, EvidenceAsk, Remedy, RequestText, Suggestion
from models.errors import InputError
from models.missing import shipped_requests
from models.vocabulary import Responsible, Ruling
from serving.desk_records import ComposedRuling, PossibleAsk

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


def composed(case: Case, ruling: Ruling, *, suggestion: Suggestion | None) -> ComposedRuling:
    """Return what a ruling orders by itself. A partial refund has no sum where nobody named one.

    suggestion : the one on the screen; None where there is none
    """
    if suggestion is not None and suggestion.likeliest == ruling:
        return ComposedRuling(ruling=ruling, responsible=suggestion.responsible, remedy=suggestion.remedy)
    whole, responsible, remedy = _BY_RULE[ruling]
    refund_minor = case.order.paid_minor if whole else None
    return ComposedRuling(
        ruling=ruling,
        responsible=responsible,
        remedy=remedy.model_copy(update={"refund_minor": refund_minor}),
    )


def ordered(case: Case, draft: DecisionDraft, *, suggestion: Suggestion | None) -> ComposedRuling:
    """Return what a draft orders: as it says, and as composed in whatever it leaves out. Null in its remedy says none.

    Raises InputError naming `remedy.refund_minor` where a partial refund has no sum, or more than was paid is refunded.
    """
    usual = composed(case, draft.ruling, suggestion=suggestion)
    said = draft.remedy.model_dump(exclude_unset=True) if draft.remedy is not None else {}
    remedy = usual.remedy.model_copy(update=said)
    if draft.ruling == Ruling.PARTIAL_REFUND and remedy.refund_minor is None:
        raise InputError("is required for a partial refund", field="remedy.refund_minor")
    if (remedy.refund_minor or 0) > case.order.paid_minor:
        raise InputError(f"must be at most the {case.order.paid_minor} paid", field="remedy.refund_minor")
    return ComposedRuling(ruling=draft.ruling, responsible=draft.responsible or usual.responsible, remedy=remedy)


def asks(case: Case, *, suggestion: Suggestion | None) -> tuple[PossibleAsk, ...]:
    """Return what may be asked for: what the machine misses first, where it may be shown, then the rest by the book."""
    missing = suggestion.missing_evidence if suggestion else ()
    found = {
        item.what: PossibleAsk(what=item.what, party=item.party, text=item.request_text, suggested=True)
        for item in missing
    }
    for name, request in shipped_requests().items():
        if case.claim in request.claims and name not in found:
            text = RequestText(zh=request.zh, en=request.en)
            found[name] = PossibleAsk(what=name, party=request.party, text=text, suggested=False)
    return tuple(found.values())


def asked(case: Case, draft: DecisionDraft, *, suggestion: Suggestion | None) -> EvidenceAsk | None:
    """Return what a draft asks for: as it says, else the first of what may be asked for. None for other rulings.

    Raises InputError naming `request` on one that goes with another ruling.
    """
    if draft.ruling == Ruling.REQUEST_EVIDENCE:
        return draft.request or next(iter(asks(case, suggestion=suggestion)), None)
    if draft.request is not None:
        raise InputError("goes with the ruling request_evidence only", field="request")
    return None
