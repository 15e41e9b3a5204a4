"""Figures with their uncertainty: macro-F1, AUROC, coverage, each with a 95 % bootstrap interval.

Resampling is by group (product, case), so that photos of one product or messages of one case stay together. Knows
nothing of what is measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Figure:
    """value with its 95 % bootstrap interval [low, high] over n independent groups or rows."""

    value: float
    low: float
    high: float
    n: int
    photos: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: Sequence[str] | NDArray[Any],
    *,
    n_rows: int | None = None,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
    level: float = 0.05,
) -> Figure:
    """Return statistic(all rows) with an interval from resampled groups.

    statistic : value on the rows of these indices; NaN where it isn't defined (such resamples are left out)
    groups : the group of each row
    n_rows : reported as n; default the number of rows
    level : the interval leaves out this share of the resamples, half on each side

    Without rows nothing is asked, and all is NaN.
    """
    if len(groups) == 0:
        return Figure(np.nan, np.nan, np.nan, 0)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(codes == place) for place in range(len(names))]
    rng = np.random.default_rng(seed)
    value = statistic(np.arange(len(codes)))
    drawn = []
    for _ in range(n_bootstrap):
        rows = np.concatenate([members[place] for place in rng.integers(len(names), size=len(names))])
        result = statistic(rows)
        if not np.isnan(result):
            drawn.append(result)
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2]) if drawn else (value, value)
    return Figure(float(value), float(min(low, value)), float(max(high, value)), n_rows or len(codes))


def auroc(y_true: NDArray[np.bool_], y_score: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve, NaN where only one class is there."""
    if len(np.unique(y_true)) < 2:
        return float("nan")
    return float(roc_auc_score(y_true, y_score))


def auroc_of(y_true: NDArray[np.bool_], y_score: NDArray[np.float64]) -> Callable[[NDArray[np.intp]], float]:
    """Return the AUROC as a statistic of rows, for `bootstrap`."""
    return lambda rows: auroc(y_true[rows], y_score[rows])


def macro_f1(y_true: NDArray[np.bool_], y_pred: NDArray[np.bool_], *, min_examples: int = 0) -> float:
    """Return the mean F1 over the columns with `min_examples` or more, NaN where there is none.

    y_true, y_pred : shape (n_rows, n_labels)
    """
    columns = y_true.sum(axis=0) >= min_examples
    if not columns.any():
        return float("nan")
    kept = np.flatnonzero(columns)
    return float(np.mean([f1_score(y_true[:, label], y_pred[:, label], zero_division=0) for label in kept]))


def false_alarm_at_recall(y_true: NDArray[np.bool_], y_score: NDArray[np.float64], *, recall: float) -> float:
    """Return the share of negatives flagged at the highest threshold that finds `recall` of the positives."""
    positives = np.sort(y_score[y_true])[::-1]
    negatives = y_score[~y_true]
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    threshold = positives[int(np.ceil(recall * len(positives))) - 1]
    return float((negatives >= threshold).mean())
