"""Probabilities that mean what they say: temperature and noise by group, and how far they are off.

Knows nothing of cases, files or rulings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from models.errors import CalibrationError

_MIN_CASES = 50
# Means and spreads of the priors on (log temperature, log-odds of the noise): of all cases, of a group around them.
_Pair = tuple[float, float]
_START: _Pair = (0.0, -3.0)
_WIDE: _Pair = (1.0, 2.0)
_NARROW: _Pair = (0.25, 1.0)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Calibration:
    """How raw scores become probabilities, group by group.

    temperatures : shape (n_groups,), above 0; noise : shape (n_groups,), in [0, 1), the share of cases in which any
    outcome may come whatever the scores say, as where arbitrators differ
    """

    temperatures: NDArray[np.float64]
    noise: NDArray[np.float64]

    def apply(self, scores: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return probabilities, shape (n_cases, n_rulings).

        scores : the same shape, raw; groups : shape (n_cases,), in [0, n_groups)
        """
        return _calibrated(scores, self.temperatures[groups, None], self.noise[groups, None])


def fit_calibration(
    scores: NDArray[np.float64], y_true: NDArray[np.intp], groups: NDArray[np.intp], *, n_groups: int
) -> Calibration:
    """Return the temperature and noise of each group that minimise log-loss on held-out cases.

    scores : shape (n_cases, n_rulings), raw; y_true : shape (n_cases,), ruling index
    groups : shape (n_cases,), in [0, n_groups)
    A group is drawn to what fits all cases together the more, the fewer cases it has: by a normal prior on the
    logarithm of the temperature and the log-odds of the noise. Raises CalibrationError under 50 cases.
    Source of the temperature: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if len(y_true) < _MIN_CASES:
        raise CalibrationError(n_cases=len(y_true), n_needed=_MIN_CASES)
    common = _fit(scores, y_true, drawn_to=_START, spread=_WIDE)
    found = [
        _fit(scores[groups == group], y_true[groups == group], drawn_to=common, spread=_NARROW)
        for group in range(n_groups)
    ]
    return Calibration(np.exp([log_t for log_t, _ in found]), expit([log_odds for _, log_odds in found]))


def _fit(
    scores: NDArray[np.float64], y_true: NDArray[np.intp], *, drawn_to: _Pair, spread: _Pair
) -> tuple[float, float]:
    """Return (log temperature, log-odds of the noise)."""
    if len(y_true) == 0:
        return drawn_to
    rows = np.arange(len(y_true))

    def loss(point: NDArray[np.float64]) -> float:
        log_temperature, log_odds = point
        of_truth = _calibrated(scores, np.exp(log_temperature), expit(log_odds))[rows, y_true]
        pull = (((point - drawn_to) / spread) ** 2).sum() / 2
        return float(pull - np.log(np.maximum(of_truth, 1e-12)).sum())

    log_temperature, log_odds = minimize(loss, np.array(drawn_to), method="Nelder-Mead").x
    return float(log_temperature), float(log_odds)


def _calibrated(
    scores: NDArray[np.float64], temperature: float | NDArray[np.float64], noise: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray((1 - noise) * softmax(scores / temperature) + noise / scores.shape[-1])


def debiased_ece(confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, n_bins: int = 15) -> float:
    """Return the L1 calibration error over equal-mass bins, less the bias that sampling alone gives.

    confidence : shape (n_cases,), in [0, 1]
    correct : shape (n_cases,)
    The bias is that of a perfectly calibrated model on the same bins, sqrt(2 v / pi) a bin, where v is the variance of
    the bin's accuracy. Never below 0. Source: Kumar, Liang & Ma, Verified Uncertainty Calibration, NeurIPS 2019.
    """
    n_bins = max(1, min(n_bins, len(confidence) // 10 or 1))
    error = bias = 0.0
    for places in np.array_split(np.argsort(confidence, kind="stable"), n_bins):
        if len(places) == 0:
            continue
        share = len(places) / len(confidence)
        mean = float(confidence[places].mean())
        error += share * abs(float(correct[places].mean()) - mean)
        bias += share * float(np.sqrt(2 * mean * (1 - mean) / (np.pi * len(places))))
    return max(0.0, error - bias)
