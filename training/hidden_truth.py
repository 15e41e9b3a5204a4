"""The hidden truth of a simulated dispute: what happened, who is honest, and what each side files.

Every probability here is an assumption of the simulator, named in PARAMETERS; docs/simulation.md shows how far the
figures move when each is varied. None is an estimate from a real docket. Knows nothing of how evidence is worded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from models.vocabulary import Claim, GoodsState, Platform, Ruling, SignedBy

T = TypeVar("T")
Cause = Literal["seller", "carrier", "buyer", "none", "change_of_mind"]
Language = Literal["zh", "en"]

CLAIM_SHARES = {
    Claim.DAMAGED: 0.31,
    Claim.NOT_AS_DESCRIBED: 0.25,
    Claim.QUALITY_DEFECT: 0.13,
    Claim.MISSING_ITEM: 0.08,
    Claim.NOT_RECEIVED: 0.08,
    Claim.RETURN_NOT_REFUNDED: 0.06,
    Claim.COUNTERFEIT: 0.05,
    Claim.CHANGE_OF_MIND: 0.04,
}
CAUSE_SHARES: dict[Claim, dict[Cause, float]] = {
    Claim.DAMAGED: {"seller": 0.35, "carrier": 0.27, "buyer": 0.2, "none": 0.18},
    Claim.NOT_AS_DESCRIBED: {"seller": 0.62, "none": 0.2, "change_of_mind": 0.18},
    Claim.QUALITY_DEFECT: {"seller": 0.62, "buyer": 0.2, "none": 0.18},
    Claim.MISSING_ITEM: {"seller": 0.65, "carrier": 0.1, "none": 0.25},
    Claim.NOT_RECEIVED: {"carrier": 0.6, "seller": 0.12, "none": 0.28},
    Claim.RETURN_NOT_REFUNDED: {"seller": 0.65, "none": 0.35},
    Claim.COUNTERFEIT: {"seller": 0.55, "none": 0.45},
    Claim.CHANGE_OF_MIND: {"change_of_mind": 1.0},
}
SIGNED_BY_SHARES = {
    SignedBy.BUYER: 0.48,
    SignedBy.LOCKER: 0.13,
    SignedBy.STATION: 0.14,
    SignedBy.FAMILY: 0.08,
    SignedBy.NEIGHBOUR: 0.05,
    SignedBy.UNKNOWN: 0.12,
}
PARAMETERS: dict[str, float] = {
    "chinese": 0.65,
    "buyer_shows_when_right": 0.86,
    "buyer_shows_when_wrong": 0.45,
    "prompt_when_right": 0.85,
    "prompt_when_wrong": 0.5,
    "seller_admits_when_at_fault": 0.4,
    "seller_admits_otherwise": 0.03,
    "buyer_admits_when_at_fault": 0.6,
    "buyer_admits_otherwise": 0.04,
    "seller_rebuts_when_not_at_fault": 0.62,
    "seller_rebuts_when_at_fault": 0.1,
    "papers_when_genuine": 0.75,
    "papers_when_not": 0.15,
    "inspection": 0.12,
    "consent": 0.25,
    "video_by_buyer": 0.12,
    "video_by_seller": 0.15,
    "damage_noted": 0.08,
    "trouble_noted": 0.6,
    "lost_without_arrival": 0.5,
    "delivery_confirmed": 0.6,
    "seller_silent": 0.07,
    "evidence_requested": 0.24,
    "evidence_filed_in_time": 0.25,
    "evidence_missed": 0.4,
    "agreement": 0.16,
    "used": 0.3,
    "receipt_confirmed": 0.12,
    "promise": 0.22,
    "undeliverable": 0.12,
    "keeps_goods": 0.1,
    "arbitrator_noise": 0.06,
}


@dataclass(frozen=True)
class HiddenTruth:
    """One dispute as it really was, and what the file will show of it.

    trouble_noted : the carrier writes down what went wrong on the way
    arrival_shown : the logistics end at the buyer's side, be it true or not
    delivery_confirmed : the seller files the carrier's word for it
    """

    claim: Claim
    platform: Platform
    language: Language
    cause: Cause
    requested: str
    signed_by: SignedBy
    consent: bool
    prompt: bool
    shows: bool
    damage_noted: bool
    trouble_noted: bool
    arrival_shown: bool
    delivery_confirmed: bool
    buyer_video: bool
    seller_video: bool
    seller_admits: bool
    buyer_admits: bool
    seller_rebuts: bool
    papers: bool
    inspection: bool
    seller_silent: bool
    asked_of: Literal["buyer", "seller", "both"] | None
    answer: Literal["filed", "missed", "open"]
    agreed: Ruling | None
    goods_state: GoodsState
    receipt_confirmed: bool
    promised: frozenset[str]
    undeliverable: bool
    keeps_goods: bool
    part_only: bool
    worthless: bool
    return_arrived: bool
    in_no_reason_window: bool
    return_excluded: bool


def sample_truth(
    rng: np.random.Generator,
    *,
    traits: frozenset[str],
    language: Language,
    parameters: Mapping[str, float],
    claim_shares: Mapping[Claim, float] = CLAIM_SHARES,
) -> HiddenTruth:
    """Draw one hidden truth about goods of the given traits."""

    def happens(name: str) -> bool:
        return bool(rng.random() < parameters[name])

    claim = pick(rng, claim_shares)
    cause = pick(rng, CAUSE_SHARES[claim])
    right = cause in ("seller", "carrier")
    requested = _requested(rng, claim)
    chinese = (Platform.TAOBAO, Platform.TMALL, Platform.JD, Platform.PDD, Platform.XIANYU)
    platforms = chinese if language == "zh" else (Platform.EBAY, Platform.AMAZON, Platform.OTHER)
    asked = happens("evidence_requested")
    answer_draw = rng.random()
    filed = parameters["evidence_filed_in_time"]
    answer: Literal["filed", "missed", "open"] = (
        "filed" if answer_draw < filed else "missed" if answer_draw < filed + parameters["evidence_missed"] else "open"
    )
    used = happens("used") if claim != Claim.QUALITY_DEFECT else rng.random() < 0.6
    return HiddenTruth(
        claim=claim,
        platform=platforms[int(rng.integers(len(platforms)))],
        language=language,
        cause=cause,
        requested=requested,
        signed_by=pick(rng, SIGNED_BY_SHARES),
        consent=happens("consent"),
        prompt=happens("prompt_when_right" if right else "prompt_when_wrong"),
        shows=happens("buyer_shows_when_right" if right else "buyer_shows_when_wrong"),
        damage_noted=cause == "carrier" and happens("damage_noted"),
        trouble_noted=cause == "carrier" and happens("trouble_noted"),
        arrival_shown=not (claim == Claim.NOT_RECEIVED and right and happens("lost_without_arrival")),
        delivery_confirmed=claim == Claim.NOT_RECEIVED and not right and happens("delivery_confirmed"),
        buyer_video=right and happens("video_by_buyer"),
        seller_video=cause != "seller" and happens("video_by_seller"),
        seller_admits=happens("seller_admits_when_at_fault" if cause == "seller" else "seller_admits_otherwise"),
        buyer_admits=happens("buyer_admits_when_at_fault" if cause == "buyer" else "buyer_admits_otherwise"),
        seller_rebuts=happens(
            "seller_rebuts_when_at_fault" if cause == "seller" else "seller_rebuts_when_not_at_fault"
        ),
        papers=happens("papers_when_not" if cause == "seller" else "papers_when_genuine"),
        inspection=right and happens("inspection"),
        seller_silent=happens("seller_silent"),
        asked_of=(("buyer", "seller", "both")[int(rng.integers(3))]) if asked else None,
        answer=answer,
        agreed=_agreed(rng, claim, requested) if happens("agreement") else None,
        goods_state=_goods_state(claim, used=bool(used)),
        receipt_confirmed=happens("receipt_confirmed"),
        promised=frozenset(name for name in ("breakage_covered", "resending_promised") if happens("promise")),
        undeliverable=happens("undeliverable"),
        keeps_goods=requested == "partial_refund" or happens("keeps_goods"),
        part_only="countable" in traits and bool(rng.random() < 0.6),
        worthless=_worthless(rng, claim, traits),
        return_arrived=cause == "seller",
        in_no_reason_window=bool(rng.random() < 0.7),
        return_excluded=bool(rng.random() < 0.5),
    )


def pick(rng: np.random.Generator, shares: Mapping[T, float]) -> T:
    """Draw one key in proportion to its share."""
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _requested(rng: np.random.Generator, claim: Claim) -> str:
    if claim in (Claim.NOT_RECEIVED, Claim.RETURN_NOT_REFUNDED):
        return "refund"
    if claim == Claim.CHANGE_OF_MIND:
        return "return_and_refund"
    shares = {"refund": 0.36, "return_and_refund": 0.38, "partial_refund": 0.1, "replace": 0.16}
    if claim == Claim.MISSING_ITEM:
        shares = {"refund": 0.3, "return_and_refund": 0.1, "partial_refund": 0.2, "replace": 0.4}
    return pick(rng, shares)


def _agreed(rng: np.random.Generator, claim: Claim, requested: str) -> Ruling | None:
    if claim == Claim.NOT_RECEIVED:
        return Ruling.REFUND
    if claim == Claim.CHANGE_OF_MIND:
        return Ruling.RETURN_AND_REFUND
    own = Ruling(requested)
    return pick(rng, {own: 0.4, Ruling.PARTIAL_REFUND: 0.35, Ruling.REPLACE: 0.15, Ruling.RETURN_AND_REFUND: 0.1})


def _goods_state(claim: Claim, *, used: bool) -> GoodsState:
    if claim == Claim.NOT_RECEIVED:
        return GoodsState.NOT_RECEIVED
    if claim == Claim.RETURN_NOT_REFUNDED:
        return GoodsState.RETURNED
    return GoodsState.USED if used else GoodsState.RECEIVED


def _worthless(rng: np.random.Generator, claim: Claim, traits: frozenset[str]) -> bool:
    if "perishable" in traits:
        return bool(rng.random() < 0.9)
    if "fragile" in traits and claim in (Claim.DAMAGED, Claim.MISSING_ITEM):
        return bool(rng.random() < 0.65)
    return "cheap" in traits or ("measured" in traits and bool(rng.random() < 0.4)) or bool(rng.random() < 0.05)
