"""The burden-of-proof ledger: who had to prove what, whether they did, and what follows.

`adjudicate` applies the rules to propositions that are plainly true or false; it is the one place that says what the
rules order (`models.adjudication` asks it about uncertain ones). Sources: the rule pack, and the domain rules on how
the steps are read in practice. Knows nothing of how findings are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.domain import Case, LedgerStep
from models.findings import PROPOSITIONS, Findings, Proposition
from models.rule_pack import Burden, RulePack, Situation
from models.vocabulary import Claim, GoodsState, Responsible, Ruling

Payer = Literal["buyer", "seller", "carrier"]


@dataclass(frozen=True)
class Order:
    """What the rules order on settled propositions."""

    ruling: Ruling
    responsible: Responsible
    outbound_freight: Payer | None
    return_freight: Payer | None


Truths = Mapping[Proposition, bool]


def adjudicate(case: Case, pack: RulePack, holds: Truths, *, agreed: Ruling | None) -> Order:
    """Return what the rules order when exactly the propositions in `holds` are true.

    case : its claim, what is requested and the state of the goods are all that is read of it
    agreed : the remedy both sides agreed on in the chat or the procedure, if any; a return agreed on settles nothing
        where the goods are said to be back already
    """
    if agreed is not None and (case.claim != Claim.RETURN_NOT_REFUNDED or agreed == Ruling.PARTIAL_REFUND):
        return _agreed_order(case, holds, agreed)
    if holds["seller_silent"]:
        return _upheld(case, holds, Ruling(case.requested))
    if holds["evidence_outstanding"]:
        return Order(Ruling.REQUEST_EVIDENCE, Responsible.UNDETERMINED, None, None)
    if case.claim == Claim.NOT_AS_DESCRIBED and holds["changed_mind"] and not holds["seller_admits"]:
        return _no_reason_order(holds)
    if case.claim == Claim.CHANGE_OF_MIND:
        return _no_reason_order(holds)
    burden = pack.burden(case.claim, situation(case, holds))
    _, verdict = burden.outcome({step.must_prove: holds[step.must_prove] for step in burden.steps})
    if verdict == "dismissed":
        if case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM) and holds["prima_facie"] and _promised(holds):
            return _upheld(case, holds, upheld_remedy(case, holds))
        return _dismissed(case)
    if verdict == "undetermined":
        if holds["worthless_to_return"]:
            return Order(Ruling.REFUND, Responsible.UNDETERMINED, "seller", None)
        return Order(Ruling.RETURN_AND_REFUND, Responsible.UNDETERMINED, "seller", "buyer")
    return _upheld(case, holds, upheld_remedy(case, holds))


def situation(case: Case, holds: Truths) -> Situation:
    """Return which variant of the claim's burden applies."""
    if case.claim == Claim.QUALITY_DEFECT:
        return "hidden" if holds["hidden_quality"] else "visible"
    if case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM):
        return "after_receipt_confirmed" if holds["receipt_confirmed"] else "before_receipt_confirmed"
    return "any"


def upheld_remedy(case: Case, holds: Truths) -> Ruling:
    """Return the remedy when the buyer's claim stands."""
    requested = Ruling(case.requested)
    if case.claim in (Claim.NOT_RECEIVED, Claim.RETURN_NOT_REFUNDED):
        return Ruling.REFUND
    if requested == Ruling.REPLACE:
        if holds["replaceable"]:
            return Ruling.REPLACE
        return Ruling.REFUND if holds["worthless_to_return"] else Ruling.RETURN_AND_REFUND
    if requested == Ruling.PARTIAL_REFUND or holds["part_only"]:
        return Ruling.PARTIAL_REFUND
    if case.claim == Claim.MISSING_ITEM and requested == Ruling.REFUND:
        return Ruling.PARTIAL_REFUND
    if holds["impaired"] and case.order.goods_state == GoodsState.USED and case.claim != Claim.COUNTERFEIT:
        return Ruling.PARTIAL_REFUND
    if holds["buyer_fault"] and holds["seller_admits"]:
        return Ruling.PARTIAL_REFUND
    if holds["worthless_to_return"]:
        return Ruling.REFUND
    return Ruling.RETURN_AND_REFUND


def _promised(holds: Truths) -> bool:
    return holds["breakage_covered"] or holds["resending_promised"]


def _upheld(case: Case, holds: Truths, remedy: Ruling) -> Order:
    responsible = Responsible.SELLER
    if holds["buyer_fault"] and holds["seller_admits"]:
        responsible = Responsible.BOTH
    elif holds["carrier_caused"] and case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM, Claim.NOT_RECEIVED):
        responsible = Responsible.CARRIER
    return Order(remedy, responsible, "seller", _return_freight(case, holds, remedy))


def _return_freight(case: Case, holds: Truths, remedy: Ruling) -> Payer | None:
    if case.claim == Claim.RETURN_NOT_REFUNDED:
        return "buyer" if holds["changed_mind"] else "seller"
    if remedy == Ruling.RETURN_AND_REFUND or case.order.goods_state == GoodsState.RETURNED:
        return "seller"
    sent_back = case.claim in (Claim.QUALITY_DEFECT, Claim.NOT_AS_DESCRIBED) and not holds["worthless_to_return"]
    return "seller" if remedy == Ruling.REPLACE and sent_back else None


def _agreed_order(case: Case, holds: Truths, agreed: Ruling) -> Order:
    remedy = agreed
    if agreed == Ruling.REPLACE and not holds["replaceable"]:
        share_asked = Ruling(case.requested) == Ruling.PARTIAL_REFUND
        remedy = Ruling.PARTIAL_REFUND if share_asked else Ruling.RETURN_AND_REFUND
    if holds["changed_mind"] and not holds["seller_admits"]:
        sent_back = remedy == Ruling.RETURN_AND_REFUND or case.claim == Claim.RETURN_NOT_REFUNDED
        freight: Payer | None = "buyer" if sent_back else None
        return Order(remedy, Responsible.BUYER, "buyer", freight)
    return _upheld(case, holds, remedy)


def _no_reason_order(holds: Truths) -> Order:
    if holds["no_reason_return_open"]:
        return Order(Ruling.RETURN_AND_REFUND, Responsible.BUYER, "buyer", "buyer")
    return Order(Ruling.DISMISS, Responsible.BUYER, "buyer", None)


def _dismissed(case: Case) -> Order:
    returned = case.claim == Claim.RETURN_NOT_REFUNDED
    return Order(Ruling.DISMISS, Responsible.BUYER, "buyer", "buyer" if returned else None)


def ledger(case: Case, pack: RulePack, findings: Findings) -> tuple[LedgerStep, ...]:
    """Return the steps of the burden of proof with their status and the evidence that decides each.

    A step is met or unmet as it is likelier than not, open where evidence for it is outstanding, not reached where
    the steps before it already settle the verdict.
    """
    holds: dict[Proposition, bool] = {name: findings.stated[name].probability >= 0.5 for name in PROPOSITIONS}
    burden = pack.burden(case.claim, situation(case, holds))
    outstanding = holds["evidence_outstanding"]
    steps = []
    for number, step in enumerate(burden.steps, start=1):
        finding = findings.stated[step.must_prove]
        status: Literal["met", "unmet", "open", "not_reached"] = "met" if finding.probability >= 0.5 else "unmet"
        if _settled(burden, holds, before=number - 1):
            status = "not_reached"
        elif outstanding and 0.2 < finding.probability < 0.8:
            status = "open"
        cited = finding.supported_by if status in ("met", "open") else finding.opposed_by or finding.supported_by
        steps.append(
            LedgerStep(
                step=number,
                party=step.party,
                must_prove=step.must_prove,
                status=status,
                evidence=tuple(dict.fromkeys(cited)),
            )
        )
    return tuple(steps)


def _settled(burden: Burden, holds: Mapping[Proposition, bool], *, before: int) -> bool:
    """Tell whether the first `before` steps leave only one verdict, whatever the later ones show."""
    known = {step.must_prove: holds[step.must_prove] for step in burden.steps[:before]}
    later = [step.must_prove for step in burden.steps[before:]]
    verdicts = {
        burden.outcome({**known, **{proof: bool(mask >> place & 1) for place, proof in enumerate(later)}})[1]
        for mask in range(2 ** len(later))
    }
    return before > 0 and len(verdicts) == 1
