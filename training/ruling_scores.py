"""Scored rulings and how right, calibrated and covered they are: overall, by claim, language and platform, by party.

Written and simulated cases are scored alike and never mixed. Knows nothing of how they were ruled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import debiased_ece
from models.ruling import RULINGS
from models.vocabulary import Ruling
from training.metrics import Figure, bootstrap

# How much each ruling gives the buyer; rulings of one rank give alike.
_BUYER_GETS = {
    Ruling.REFUND: 4,
    Ruling.RETURN_AND_REFUND: 3,
    Ruling.REPLACE: 3,
    Ruling.PARTIAL_REFUND: 2,
    Ruling.REQUEST_EVIDENCE: 1,
    Ruling.DISMISS: 0,
}
_N_BOOTSTRAP = 200


@dataclass(frozen=True)
class RulingScores:
    """Rulings scored on cases of known outcome, one row a case (or a draw of one).

    y_true : shape (n_rows,), ruling index; y_prob, in_set : shape (n_rows, n_rulings)
    case_ids : shape (n_rows,), rows of one case stay together when resampling
    labels : by dimension, such as "claim" or "language", shape (n_rows,) each
    """

    y_true: NDArray[np.intp]
    y_prob: NDArray[np.float64]
    in_set: NDArray[np.bool_]
    case_ids: NDArray[np.str_]
    labels: Mapping[str, NDArray[np.str_]]

    @property
    def confidence(self) -> NDArray[np.float64]:
        return np.asarray(self.y_prob.max(axis=1), np.float64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.asarray(self.y_prob.argmax(axis=1) == self.y_true)

    @property
    def covered(self) -> NDArray[np.bool_]:
        return np.asarray(self.in_set[np.arange(len(self.y_true)), self.y_true])

    def take(self, rows: NDArray[np.intp]) -> "RulingScores":
        """Return the chosen rows."""
        labels = {name: values[rows] for name, values in self.labels.items()}
        return RulingScores(self.y_true[rows], self.y_prob[rows], self.in_set[rows], self.case_ids[rows], labels)


def score_figures(scores: RulingScores) -> dict[str, Figure]:
    """Return accuracy, set coverage and size, and calibration error, intervals over cases."""
    confidence, correct, covered, size = (
        scores.confidence,
        scores.correct,
        scores.covered,
        scores.in_set.sum(axis=1),
    )
    n_cases = len(np.unique(scores.case_ids))

    def mean(values: NDArray[np.bool_] | NDArray[np.intp]) -> Figure:
        return bootstrap(
            lambda rows: float(values[rows].mean()), scores.case_ids, n_rows=n_cases, n_bootstrap=_N_BOOTSTRAP
        )

    return {
        "accuracy": mean(correct),
        "set_coverage": mean(covered),
        "set_size": mean(size),
        "ece": bootstrap(
            lambda rows: debiased_ece(confidence[rows], correct[rows]),
            scores.case_ids,
            n_rows=n_cases,
            n_bootstrap=_N_BOOTSTRAP // 2,
        ),
    }


def slice_figures(scores: RulingScores, dimension: str) -> dict[str, dict[str, Figure]]:
    """Return the figures within each value of a dimension, in order of the values' names."""
    values = scores.labels[dimension]
    return {str(value): score_figures(scores.take(np.flatnonzero(values == value))) for value in np.unique(values)}


def party_errors(scores: RulingScores) -> dict[str, Figure]:
    """Return the shares of cases whose likeliest ruling gives the buyer more, and less, than the right one."""
    rank = np.array([_BUYER_GETS[ruling] for ruling in RULINGS])
    given, right = rank[scores.y_prob.argmax(axis=1)], rank[scores.y_true]
    n_cases = len(np.unique(scores.case_ids))
    return {
        name: bootstrap(
            lambda rows, wrong=wrong: float(wrong[rows].mean()),  # type: ignore[misc]
            scores.case_ids,
            n_rows=n_cases,
            n_bootstrap=_N_BOOTSTRAP,
        )
        for name, wrong in (("too_much_for_buyer", given > right), ("too_little_for_buyer", given < right))
    }
