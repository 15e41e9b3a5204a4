"""Prediction sets for rulings, with a stated chance of holding the right one.

Knows nothing of files, registries or HTTP.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.errors import CalibrationError

# Below it a threshold of its own is too uncertain: coverage may be off by more than 4 points.
MIN_GROUP_CASES = 200


def set_threshold(y_true: NDArray[np.intp], y_prob: NDArray[np.float64], *, alpha: float) -> float:
    """Return the lowest probability that keeps a ruling in the set.

    y_true : shape (n_cases,), ruling index in [0, n_rulings)
    y_prob : shape (n_cases, n_rulings), rows sum to 1, cases never trained on
    alpha : share of sets allowed to miss the true ruling, in (0, 1)
    Raises CalibrationError below ceil(1 / alpha) - 1 cases.
    Source: LAC score, Sadinle, Lei & Wasserman, JASA 114 (2019).
    """
    n_needed = math.ceil(1 / alpha) - 1
    n_cases = len(y_true)
    if n_cases < n_needed:
        raise CalibrationError(n_cases=n_cases, n_needed=n_needed)
    of_truth = np.sort(y_prob[np.arange(n_cases), y_true])
    allowed = math.floor(alpha * (n_cases + 1))
    return float(of_truth[allowed - 1]) if allowed >= 1 else 0.0


def set_thresholds(
    y_true: NDArray[np.intp], y_prob: NDArray[np.float64], groups: NDArray[np.intp], *, n_groups: int, alpha: float
) -> NDArray[np.float64]:
    """Return a threshold for each group, shape (n_groups,), so that sets hold as often as promised within each.

    groups : shape (n_cases,), in [0, n_groups); a group with fewer than `MIN_GROUP_CASES` has the common threshold
    The rest and the errors as in `set_threshold`. Source: Mondrian prediction, Vovk, Gammerman & Shafer,
    Algorithmic Learning in a Random World (2005), section 4.5.
    """
    common = set_threshold(y_true, y_prob, alpha=alpha)
    thresholds = np.full(n_groups, common)
    for group in range(n_groups):
        rows = groups == group
        if rows.sum() >= MIN_GROUP_CASES:
            thresholds[group] = set_threshold(y_true[rows], y_prob[rows], alpha=alpha)
    return thresholds


def prediction_sets(y_prob: NDArray[np.float64], *, threshold: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rulings are in each set, shape (n_cases, n_rulings); the likeliest one always is.

    threshold : one for all cases, or shape (n_cases,)
    """
    kept = y_prob >= np.reshape(threshold, (-1, 1))
    kept[np.arange(len(y_prob)), y_prob.argmax(axis=1)] = True
    return kept
