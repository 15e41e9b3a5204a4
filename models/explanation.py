"""Explanation: the messages, photos and facts that moved a suggestion, for both sides.

The effect of a piece is the change in the probability of the suggested ruling when that piece alone is left out and
everything else is ruled again. A statement, photo or match favours the side that what it says speaks for, whatever it
does to the ruling; a fact says nothing by itself and favours the side it moves the ruling towards.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.domain import (
    Case,
    Evidence,
    FactEvidence,
    ListingMatchEvidence,
    PhotoEvidence,
    StatementEvidence,
)
from models.evidence import CaseEvidence
from models.findings import Findings
from models.ruling import RULINGS
from models.vocabulary import Claim, Party, Ruling, StatementLabel

_AT_MOST = 10
_MIN_EFFECT = 0.005
_MIN_SHIFT = 0.001
_MIN_STATEMENT = 0.5
_MOST_TRIED = 40
_BUYER_VALUE = {
    Ruling.REFUND: 1.0,
    Ruling.RETURN_AND_REFUND: 0.9,
    Ruling.REPLACE: 0.8,
    Ruling.PARTIAL_REFUND: 0.5,
    Ruling.REQUEST_EVIDENCE: 0.4,
    Ruling.DISMISS: 0.0,
}
_VALUES = np.array([_BUYER_VALUE[ruling] for ruling in RULINGS])
_SPEAKS_FOR_SELLER = frozenset(
    {
        StatementLabel.CHANGED_MIND,
        StatementLabel.ADMITS_USE_OR_FAULT,
        StatementLabel.DENIES_FAULT,
        StatementLabel.BLAMES_CARRIER,
        StatementLabel.BLAMES_BUYER,
        StatementLabel.REFUSES,
        StatementLabel.ASKS_EVIDENCE,
    }
)
_SPEAKS_FOR_NEITHER = frozenset({StatementLabel.ACCEPTS_OFFER, StatementLabel.ABUSIVE})
OUT_OF_DISTRIBUTION = 0.5


def explain(
    evidence: CaseEvidence,
    findings: Findings,
    probabilities: NDArray[np.float64],
    *,
    rule: Callable[[Sequence[CaseEvidence]], NDArray[np.float64]],
) -> tuple[Evidence, ...]:
    """Return the pieces that moved the suggestion, strongest first, then a side's best piece if none of its moved it.

    probabilities : shape (n_rulings,), with all evidence
    rule : ruling probabilities for other evidence, shape (n_others, n_rulings)
    """
    first = int(probabilities.argmax())
    tried: list[tuple[float, Evidence]] = []
    refs = _candidates(evidence, findings)
    for ref, without in zip(refs, rule([evidence.without(ref) for ref in refs]), strict=True):
        effect = float(probabilities[first] - without[first])
        shift = _help_to_buyer(probabilities - without)
        tried.append((shift, _piece(evidence, ref, effect, Party.BUYER if shift >= 0 else Party.SELLER)))
    moved = [piece for _, piece in tried if abs(piece.effect) >= _MIN_EFFECT]
    moved.sort(key=lambda piece: (-abs(piece.effect), str(piece.ref)))
    kept = moved[:_AT_MOST]
    for party in Party:
        if not any(piece.favours == party for piece in kept):
            kept += _best_of(party, tried)
    return tuple(kept)


def _help_to_buyer(change: NDArray[np.float64]) -> float:
    """Return how far a change of probabilities helps the buyer: first by making a dismissal less likely, and where it
    leaves that alone, by what the other rulings are worth to the buyer.
    """
    dismissed = float(change[RULINGS.index(Ruling.DISMISS)])
    return -dismissed if abs(dismissed) >= _MIN_SHIFT else float(_VALUES @ change)


def _best_of(party: Party, tried: list[tuple[float, Evidence]]) -> list[Evidence]:
    """Return the piece that speaks for `party` and helps it most, however little; none where nothing does."""
    sign = 1 if party == Party.BUYER else -1
    speaking = [(sign * shift, piece) for shift, piece in tried if piece.favours == party]
    return [max(speaking, key=lambda item: item[0])[1]] if speaking else []


def _candidates(evidence: CaseEvidence, findings: Findings) -> list[str]:
    """Return every reference that some finding rests on, and the statements likeliest to have been made.

    At most `_MOST_TRIED` statements that nothing cites are tried: the time for a very long chat stays bounded.
    """
    cited = [
        ref
        for finding in (*findings.stated.values(), *findings.agreed.values())
        for ref in (*finding.supported_by, *finding.opposed_by)
    ]
    likely = sorted(((max(s.probabilities.values(), default=0.0), s.ref) for s in evidence.statements), reverse=True)
    said = [ref for probability, ref in likely[:_MOST_TRIED] if probability >= _MIN_STATEMENT]
    photos = [photo.ref for photo in evidence.photos if photo.damaged is not None]
    match = [evidence.match.ref] if evidence.match else []
    known = dict.fromkeys([*said, *photos, *match, *cited])
    return [ref for ref in known if ref not in ("claim", "requested")]


def _piece(evidence: CaseEvidence, ref: str, effect: float, moves_towards: Party) -> Evidence:
    statement = next((item for item in evidence.statements if item.ref == ref), None)
    if statement is not None and max(statement.probabilities.values(), default=0.0) >= _MIN_STATEMENT:
        label = max(statement.probabilities, key=lambda name: statement.probabilities[name])
        return StatementEvidence(
            ref=ref,
            label=label,
            probability=statement.probabilities[label],
            effect=effect,
            favours=_side_of(label, moves_towards),
            spans=statement.spans.get(label, ()),
        )
    photo = next((item for item in evidence.photos if item.ref == ref), None)
    if photo is not None and photo.damaged is not None and evidence.case.claim == Claim.DAMAGED:
        damaged = photo.damaged >= 0.5
        return PhotoEvidence(
            ref=ref,
            label="damaged" if damaged else "intact",
            probability=photo.damaged,
            effect=effect,
            favours=Party.BUYER if damaged else Party.SELLER,
            region=photo.region if damaged else None,
            out_of_distribution=photo.out_of_distribution >= OUT_OF_DISTRIBUTION,
        )
    if evidence.match is not None and evidence.match.ref == ref:
        match = evidence.match
        other_goods = match.mismatch >= 0.5
        return ListingMatchEvidence(
            ref=(match.listing_ref, match.received_ref),
            label="mismatch" if other_goods else "match",
            probability=match.mismatch,
            effect=effect,
            favours=Party.BUYER if other_goods else Party.SELLER,
        )
    return FactEvidence(ref=ref, label=fact_label(evidence.case, ref), effect=effect, favours=moves_towards)


def _side_of(label: StatementLabel, moves_towards: Party) -> Party:
    if label in _SPEAKS_FOR_NEITHER:
        return moves_towards
    return Party.SELLER if label in _SPEAKS_FOR_SELLER else Party.BUYER


def fact_label(case: Case, ref: str) -> str:
    """Return the name of a fact: what happened, and by whom where known."""
    place, _, rest = ref.partition(".")
    if place == "timeline" and rest.isdigit():
        event = case.timeline[int(rest)]
        return f"{event.event}_by_{event.by}" if event.by else str(event.event)
    if place == "logistics" and rest.isdigit():
        leg = case.logistics[int(rest)]
        return f"{leg.event}_by_{leg.by}" if leg.by else str(leg.event)
    if place == "documents":
        document = next((item for item in case.documents if item.document_id == rest), None)
        return f"{document.kind}_filed_by_{document.filed_by}" if document else rest
    if ref == "order.goods_state":
        return f"goods_{case.order.goods_state}"
    if ref == "order.receipt_confirmed_at":
        return "receipt_confirmed" if case.order.receipt_confirmed_at else "receipt_not_confirmed"
    photo = next((item for item in case.photos if item.photo_id == ref), None)
    if photo is not None:
        return f"{photo.role}_photo_filed_by_{photo.filed_by}"
    if any(message.message_id == ref for message in case.chat):
        return "message"
    return rest or ref
