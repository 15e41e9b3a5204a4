"""The simulator: hidden truths, the files they leave behind, and the rulings arbitrators give them.

A truth is drawn (`hidden_truth`), a case file is written from it (`simulated_file`) with held-out corpus messages and
photo scores drawn at the classifiers' measured error rates, and the rules are applied to what the file shows, with
arbitrator noise. Figures from simulated cases are never mixed with real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.burden import Order, Payer, adjudicate
from models.evidence import CaseEvidence
from models.findings import Proposition
from models.rule_pack import RuleBook, shipped_rule_book
from models.vocabulary import Claim, GoodsState, Responsible, Ruling, SignedBy
from training.hidden_truth import CLAIM_SHARES, PARAMETERS, HiddenTruth, sample_truth
from training.photo_errors import PhotoErrors
from training.simulated_file import SIMULATED_ON, Goods, load_goods, write_file
from training.statement_pool import StatementPool

_OTHER_RULINGS: dict[Ruling, tuple[Ruling, ...]] = {
    Ruling.REFUND: (Ruling.RETURN_AND_REFUND, Ruling.PARTIAL_REFUND),
    Ruling.RETURN_AND_REFUND: (Ruling.REFUND, Ruling.PARTIAL_REFUND, Ruling.DISMISS),
    Ruling.PARTIAL_REFUND: (Ruling.REFUND, Ruling.RETURN_AND_REFUND, Ruling.DISMISS),
    Ruling.REPLACE: (Ruling.RETURN_AND_REFUND, Ruling.PARTIAL_REFUND),
    Ruling.DISMISS: (Ruling.RETURN_AND_REFUND, Ruling.PARTIAL_REFUND),
    Ruling.REQUEST_EVIDENCE: (Ruling.DISMISS, Ruling.RETURN_AND_REFUND),
}


@dataclass(frozen=True)
class SimulatedCase:
    """truth : what really was; order : what the arbitrator ruled; rule_order : what the rules order without noise."""

    truth: HiddenTruth
    evidence: CaseEvidence
    order: Order
    rule_order: Order


def simulate(
    n_cases: int,
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    seed: int,
    parameters: Mapping[str, float] | None = None,
    claim_shares: Mapping[Claim, float] = CLAIM_SHARES,
    rule_book: RuleBook | None = None,
) -> list[SimulatedCase]:
    """Return `n_cases` simulated disputes with their rulings; the same seed gives the same cases.

    claim_shares : how often each claim is drawn, in proportion
    """
    book = rule_book or shipped_rule_book()
    settings = {**PARAMETERS, **(parameters or {})}
    goods = load_goods()
    return [
        _simulate_one(
            np.random.default_rng([seed, place]), place, goods, pool, photo_errors, settings, claim_shares, book
        )
        for place in range(n_cases)
    ]


def _simulate_one(
    rng: np.random.Generator,
    place: int,
    goods: Mapping[str, list[Goods]],
    pool: StatementPool,
    photo_errors: PhotoErrors,
    settings: Mapping[str, float],
    claim_shares: Mapping[Claim, float],
    book: RuleBook,
) -> SimulatedCase:
    language = "zh" if rng.random() < settings["chinese"] else "en"
    item = goods[language][int(rng.integers(len(goods[language])))]
    truth = sample_truth(
        rng,
        traits=frozenset(item.traits),
        language="zh" if language == "zh" else "en",
        parameters=settings,
        claim_shares=claim_shares,
    )
    evidence = write_file(rng, f"SIM-{place:06d}", truth, item, pool=pool, photo_errors=photo_errors)
    pack = book.pack_for(evidence.case, ruled_on=SIMULATED_ON)
    rule_order = adjudicate(evidence.case, pack, propositions(truth), agreed=truth.agreed)
    order = _with_noise(rng, rule_order, settings["arbitrator_noise"])
    return SimulatedCase(truth, evidence, order, rule_order)


def propositions(truth: HiddenTruth) -> dict[Proposition, bool]:
    """Return which propositions a careful arbitrator would find true on the file that this truth leaves behind."""
    right = truth.cause in ("seller", "carrier")
    buyer_missed = truth.asked_of in ("buyer", "both") and truth.answer == "missed"
    seller_missed = truth.asked_of in ("seller", "both") and truth.answer == "missed"
    shown = (truth.shows or truth.seller_admits or truth.inspection or truth.buyer_video) and not (
        buyer_missed and not truth.seller_admits
    )
    handed_over = truth.signed_by in (SignedBy.BUYER, SignedBy.FAMILY) or truth.consent
    late_or_own_doing = truth.buyer_admits and not truth.seller_admits
    at_sign_off = (
        shown
        and not late_or_own_doing
        and (truth.prompt or truth.damage_noted or truth.buyer_video or truth.seller_admits)
    )
    at_sign_off = at_sign_off and (right or not truth.seller_video)
    return {
        "proper_sign_off": handed_over,
        "condition_at_sign_off": at_sign_off,
        "prima_facie": shown,
        "explanation_or_rebuttal": truth.seller_rebuts and not truth.seller_admits and not seller_missed,
        "inspection_report": truth.inspection,
        "provenance": truth.papers and not seller_missed,
        "delivery": truth.claim != Claim.NOT_RECEIVED or _delivered(truth, handed_over=handed_over),
        "return_received": truth.return_arrived and not buyer_missed,
        "no_reason_return_open": truth.in_no_reason_window and truth.goods_state != GoodsState.USED,
        "receipt_confirmed": truth.receipt_confirmed and truth.claim in (Claim.DAMAGED, Claim.MISSING_ITEM),
        "seller_silent": truth.seller_silent and truth.agreed is None,
        "buyer_defaulted": buyer_missed,
        "seller_defaulted": seller_missed,
        "evidence_outstanding": truth.asked_of is not None and truth.answer == "open",
        "seller_admits": truth.seller_admits,
        "buyer_fault": truth.buyer_admits,
        "carrier_caused": truth.cause == "carrier",
        "changed_mind": truth.cause == "change_of_mind",
        "part_only": truth.part_only,
        "worthless_to_return": truth.worthless,
        "replaceable": not truth.undeliverable,
        "impaired": truth.goods_state == GoodsState.USED and truth.claim != Claim.QUALITY_DEFECT,
        "keeps_goods": truth.keeps_goods,
        "hidden_quality": False,
        "resending_promised": "resending_promised" in truth.promised,
        "breakage_covered": "breakage_covered" in truth.promised,
    }


def _delivered(truth: HiddenTruth, *, handed_over: bool) -> bool:
    """Return whether the file shows delivery: an arrival that the carrier vouches for or nothing speaks against."""
    doubted = truth.trouble_noted or truth.seller_admits
    return truth.arrival_shown and (handed_over or truth.delivery_confirmed) and not doubted


def _with_noise(rng: np.random.Generator, order: Order, noise: float) -> Order:
    """Return the order, or with probability `noise` what another arbitrator might have ruled."""
    if rng.random() >= noise:
        return order
    others = _OTHER_RULINGS[order.ruling]
    ruling = others[int(rng.integers(len(others)))]
    if ruling == Ruling.DISMISS:
        return Order(ruling, Responsible.BUYER, "buyer", None)
    freight: Payer | None = "seller" if ruling == Ruling.RETURN_AND_REFUND else None
    return replace(
        order, ruling=ruling, responsible=Responsible.SELLER, outbound_freight="seller", return_freight=freight
    )
