"""Refitting of the ruling model on decided cases, beside simulated ones.

With enough gold cases of its own, temperature and set threshold come from outcomes and the suggestion may say so;
with fewer they come from simulated cases. Knows nothing of registries, splits or files.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.ruling import RULINGS, RulingClassifier
from models.suggester import CalibratedOn
from training.outcome_table import OutcomeTable

OUTCOME_WEIGHT = 20.0
MIN_CALIBRATION = 80
Weighting = Literal["provenance", "equal"]


@dataclass(frozen=True)
class Refit:
    """n_taught : outcomes learned from"""

    classifier: RulingClassifier
    calibrated_on: CalibratedOn
    n_taught: int


def refit_rulings(
    teaching: OutcomeTable,
    calibrating: OutcomeTable,
    *,
    simulated: tuple[NDArray[np.float64], NDArray[np.intp]],
    like: RulingClassifier,
    seed: int,
    weighting: Weighting = "provenance",
) -> Refit:
    """Return a ruling model learned from simulated cases and the teaching ones.

    teaching : a case weighs as `OUTCOME_WEIGHT` simulated ones, times what its provenance is worth
    calibrating : gold cases that teach nothing; under `MIN_CALIBRATION` of them simulated cases calibrate
    simulated : (X, y_true), the last third kept for calibration
    like : whose C and alpha are used
    Raises InputError when there is nothing to learn from, or rulings of one kind only.
    """
    refuse_what_teaches_nothing(teaching)
    X, y_true = simulated
    n_fit = len(y_true) * 2 // 3
    worth = teaching.weight if weighting == "provenance" else np.ones(len(teaching))
    on_outcomes = len(calibrating) >= MIN_CALIBRATION
    classifier = RulingClassifier(C=like.C, alpha=like.alpha, seed=seed).fit(
        np.vstack([X[:n_fit], teaching.X]),
        np.concatenate([y_true[:n_fit], teaching.y_true]),
        calibration=(calibrating.X, calibrating.y_true) if on_outcomes else (X[n_fit:], y_true[n_fit:]),
        sample_weight=np.concatenate([np.ones(n_fit), OUTCOME_WEIGHT * worth]),
    )
    return Refit(classifier, "outcomes" if on_outcomes else "simulated", len(teaching))


def refuse_what_teaches_nothing(teaching: OutcomeTable) -> None:
    """Raise InputError when there is nothing to learn from, or rulings of one kind only."""
    kinds = np.unique(teaching.y_true)
    if len(kinds) == 0:
        raise InputError("hold no case to learn from", field="outcomes")
    if len(kinds) == 1:
        raise InputError(f"are all {RULINGS[kinds[0]]}: nothing tells rulings apart", field="outcomes")
