"""An effect is what leaving the piece out changes; a linear ruling of known weights is the oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto
from models.explanation import explain, fact_label
from models.findings import read_findings
from models.ruling import RULINGS
from models.vocabulary import Party, PhotoRole, Ruling, StatementLabel
from tests.builders import build_case, build_evidence, happened, hours, said, signed

CHAT = [
    {"message_id": f"m{place + 1}", "at": hours(50 + place), "speaker": speaker, "text": "…"}
    for place, speaker in enumerate(["buyer", "seller", "platform"])
]
CASE = build_case(
    chat=CHAT,
    photos=[{"photo_id": "p2", "role": "received", "filed_by": "buyer"}],
    logistics=[signed("locker")],
    timeline=[happened("refund_applied", "buyer")],
    documents=[{"document_id": "d1", "kind": "video", "filed_by": "seller"}],
)
EVIDENCE = build_evidence(
    CASE,
    said("buyer", {StatementLabel.CLAIMS_DAMAGE: 0.9}, place=0),
    said("seller", {StatementLabel.DENIES_FAULT: 0.8}, place=1),
    said("platform", place=2),
    photos=(ScoredPhoto("p2", PhotoRole.RECEIVED, "buyer", 0.9, (1, 2, 3, 4)),),
    match=ListingMatch("p1", "p2", 0.2),
)
WEIGHTS = {"m1": 0.20, "p2": 0.10, "logistics.0": 0.05, "m2": -0.15, "p1|p2": -0.02}


def linear(weights: dict[str, float]) -> Callable[[CaseEvidence], NDArray[np.float64]]:
    """Return a ruling in which each piece present adds its weight to `refund`, taken from `dismiss`."""

    def rule(evidence: CaseEvidence) -> NDArray[np.float64]:
        refund = 0.6 + sum(weight for ref, weight in weights.items() if evidence.counts(ref))
        probabilities = np.zeros(len(RULINGS))
        probabilities[RULINGS.index(Ruling.REFUND)] = refund
        probabilities[RULINGS.index(Ruling.DISMISS)] = 1 - refund
        return probabilities

    return rule


def explained(evidence: CaseEvidence = EVIDENCE, weights: dict[str, float] = WEIGHTS) -> tuple[Any, ...]:
    rule = linear(weights)
    return explain(
        evidence,
        read_findings(evidence),
        rule(evidence),
        rule=lambda others: np.array([rule(other) for other in others]),
    )


def test_effects_are_what_leaving_each_piece_out_changes_strongest_first() -> None:
    found = [("|".join(p.ref) if isinstance(p.ref, tuple) else p.ref, p.effect) for p in explained()]
    assert found == [
        ("m1", pytest.approx(0.20)),
        ("m2", pytest.approx(-0.15)),
        ("p2", pytest.approx(0.10)),
        ("logistics.0", pytest.approx(0.05)),
        ("p1|p2", pytest.approx(-0.02)),
    ]


def test_what_a_piece_says_tells_whom_it_favours_and_a_fact_favours_whom_it_helps() -> None:
    against_what_they_say = {ref: -weight for ref, weight in WEIGHTS.items()}
    assert {str(piece.ref): piece.favours for piece in explained(weights=against_what_they_say)} == {
        "m1": Party.BUYER,
        "m2": Party.SELLER,
        "p2": Party.BUYER,
        "logistics.0": Party.SELLER,
        "('p1', 'p2')": Party.SELLER,
    }


def test_an_accepted_offer_favours_whom_it_helps() -> None:
    evidence = build_evidence(CASE, said("buyer", {StatementLabel.ACCEPTS_OFFER: 0.9}, place=0))
    assert [explained(evidence, {"m1": weight})[0].favours for weight in (0.1, -0.1)] == ["buyer", "seller"]


def test_a_message_of_no_likely_label_is_shown_without_one() -> None:
    """It is cited for its words: it names a video."""
    chat = [{"message_id": "m1", "at": hours(50), "speaker": "buyer", "text": "我有视频"}]
    statement = said("buyer", {StatementLabel.CLAIMS_DAMAGE: 0.4}, place=0)
    found = explained(build_evidence(build_case(chat=chat), statement), {"m1": 0.1})
    assert [(piece.kind, piece.label) for piece in found if piece.ref == "m1"] == [("fact", "message")]


def test_each_kind_of_piece_says_what_it_shows() -> None:
    by_ref = {str(piece.ref): piece for piece in explained()}
    assert (by_ref["m1"].kind, by_ref["m1"].label, by_ref["m1"].probability) == ("statement", "claims_damage", 0.9)
    assert (by_ref["p2"].kind, by_ref["p2"].label, by_ref["p2"].region) == ("photo", "damaged", (1, 2, 3, 4))
    assert (by_ref["('p1', 'p2')"].kind, by_ref["('p1', 'p2')"].label) == ("listing_match", "match")
    assert (by_ref["logistics.0"].kind, by_ref["logistics.0"].label) == ("fact", "signed_by_locker")


def test_an_intact_photo_has_no_region() -> None:
    photo = ScoredPhoto("p2", PhotoRole.RECEIVED, "buyer", 0.2, (1, 2, 3, 4), 0.8)
    piece = explained(build_evidence(CASE, photos=(photo,)), {"p2": 0.1})[0]
    assert (piece.label, piece.region, piece.out_of_distribution) == ("intact", None, True)


def test_where_nothing_moves_each_side_still_shows_its_best_piece_with_its_true_effect() -> None:
    found = explained(weights={"m1": 0.004})
    assert {piece.favours for piece in found} == {"buyer", "seller"}
    assert all(abs(piece.effect) < 0.005 for piece in found)


def test_the_other_sides_strongest_piece_is_shown_however_faint() -> None:
    chat = [{"message_id": f"m{i}", "at": hours(50), "speaker": "buyer", "text": "碎"} for i in range(1, 15)]
    chat.append({"message_id": "m15", "at": hours(51), "speaker": "seller", "text": "…"})
    case = build_case(chat=chat)
    statements = [said("buyer", {StatementLabel.CLAIMS_DAMAGE: 0.9}, place=i, ref=f"m{i + 1}") for i in range(14)]
    statements.append(said("seller", {StatementLabel.DENIES_FAULT: 0.9}, place=14, ref="m15"))
    weights = {f"m{i}": 0.01 + i / 1000 for i in range(1, 15)} | {"m15": -0.006}
    found = explained(build_evidence(case, *statements), weights)
    assert [piece.ref for piece in found] == [f"m{i}" for i in range(14, 4, -1)] + ["m15"]


@pytest.mark.parametrize(
    ("ref", "label"),
    [
        ("timeline.0", "refund_applied_by_buyer"),
        ("logistics.0", "signed_by_locker"),
        ("documents.d1", "video_filed_by_seller"),
        ("documents.d9", "d9"),
        ("order.goods_state", "goods_received"),
        ("order.receipt_confirmed_at", "receipt_not_confirmed"),
        ("listing.fragile", "fragile"),
        ("p2", "received_photo_filed_by_buyer"),
        ("m3", "message"),
        ("buyer_statement", "buyer_statement"),
    ],
)
def test_facts_are_named_for_what_happened(ref: str, label: str) -> None:
    assert fact_label(CASE, ref) == label
