"""How a ruling model must behave whatever its figures: invariance, party symmetry, direction, minimum function.

Each test names itself when it fails, so that the gate can say why. Runs on scored evidence; knows nothing of files.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.domain import Case
from models.evidence import CaseEvidence, Statement
from models.ruling import RULINGS, features
from models.suggester import Suggester
from models.vocabulary import LABELS_OF_SPEAKER, Ruling, Speaker, StatementLabel
from training.simulate import SimulatedCase
from training.simulated_file import SIMULATED_ON

_DISMISSES = RULINGS.index(Ruling.DISMISS)
_SAME = 1e-9
_MOST_AGAINST = 0.1
_LEAST_RIGHT = 0.5


def failed_behaviour(suggester: Suggester, cases: Sequence[SimulatedCase]) -> list[str]:
    """Return a sentence for each behaviour test that the model fails on these simulated cases."""
    evidence = [case.evidence for case in cases]
    said = _probabilities(suggester, evidence)
    renamed = _probabilities(suggester, [_renamed(piece) for piece in evidence])
    swapped = _probabilities(suggester, [_ids_swapped(piece) for piece in evidence])
    admitting = _probabilities(suggester, [_with_statement(p, StatementLabel.ADMITS_FAULT) for p in evidence])
    owning_up = _probabilities(suggester, [_with_statement(p, StatementLabel.ADMITS_USE_OR_FAULT) for p in evidence])
    right = said.argmax(axis=1) == np.array([RULINGS.index(case.rule_order.ruling) for case in cases])
    against_seller = (admitting[:, _DISMISSES] > said[:, _DISMISSES] + 0.01).mean()
    against_buyer = (owning_up[:, _DISMISSES] < said[:, _DISMISSES] - 0.01).mean()
    checks: list[tuple[bool, str]] = [
        (_furthest(said, renamed) <= _SAME, "invariance: other ids and another order move the ruling"),
        (_furthest(said, swapped) <= _SAME, "party symmetry: swapping who bears which id moves the ruling"),
        (
            against_seller <= _MOST_AGAINST,
            f"direction: a seller's admission helps the seller in {against_seller:.0%} of cases",
        ),
        (
            against_buyer <= _MOST_AGAINST,
            f"direction: a buyer's admission helps the buyer in {against_buyer:.0%} of cases",
        ),
        (right.mean() >= _LEAST_RIGHT, f"minimum function: {right.mean():.0%} right where the rules are clear"),
    ]
    return [sentence for holds, sentence in checks if not holds]


def _probabilities(suggester: Suggester, evidence: Sequence[CaseEvidence]) -> NDArray[np.float64]:
    rows = []
    for piece in evidence:
        ruled = suggester.rule(piece, ruled_on=SIMULATED_ON)
        rows.append(features(piece.case, ruled.findings, ruled.orders))
    return suggester.ruling.predict_proba(np.array(rows))


def _furthest(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).max())


def _on_case(piece: CaseEvidence, change: Callable[[Case], Case]) -> CaseEvidence:
    return CaseEvidence(change(piece.case), piece.statements, piece.photos, piece.match, piece.unreadable)


def _renamed(piece: CaseEvidence) -> CaseEvidence:
    ids = {"order_id": "O-other", "buyer_id": "b-other", "seller_id": "s-other"}
    return _on_case(
        piece,
        lambda case: case.model_copy(update={"case_id": "other", "order": case.order.model_copy(update=ids)}),
    )


def _ids_swapped(piece: CaseEvidence) -> CaseEvidence:
    order = piece.case.order
    ids = {"buyer_id": order.seller_id, "seller_id": order.buyer_id}
    return _on_case(piece, lambda case: case.model_copy(update={"order": order.model_copy(update=ids)}))


def _with_statement(piece: CaseEvidence, label: StatementLabel) -> CaseEvidence:
    """Return the evidence with one more message that says `label` for certain."""
    speaker = Speaker.SELLER if label in LABELS_OF_SPEAKER[Speaker.SELLER] else Speaker.BUYER
    said = dict.fromkeys(LABELS_OF_SPEAKER[speaker], 0.01) | {label: 0.99}
    extra = Statement(f"{speaker}_statement", speaker, -1, said, {})
    others = tuple(one for one in piece.statements if one.ref != extra.ref)
    return replace(_on_case(piece, lambda case: case), statements=(extra, *others))
