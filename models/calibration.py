"""Probabilities that mean what they say: temperature scaling, and how far they are off.

Knows nothing of cases, files or rulings.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.errors import CalibrationError

_MIN_CASES = 50


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def fit_temperature(scores: NDArray[np.float64], y_true: NDArray[np.intp]) -> float:
    """Return the temperature that minimises log-loss on held-out cases.

    scores : shape (n_cases, n_rulings), raw
    y_true : shape (n_cases,), ruling index
    Raises CalibrationError under 50 cases. Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if len(y_true) < _MIN_CASES:
        raise CalibrationError(n_cases=len(y_true), n_needed=_MIN_CASES)

    def loss(log_temperature: float) -> float:
        probabilities = softmax(scores / np.exp(log_temperature))
        return float(-np.log(np.maximum(probabilities[np.arange(len(y_true)), y_true], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


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
