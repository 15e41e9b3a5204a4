"""Logistic regression that starts from what a classifier says already and moves only as far as new labels warrant.

What is learned is added to the classifier's own logit: a weight a feature and one number, both drawn to 0 by a normal
prior, so that few labels move little. Knows nothing of what is classified.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]

SPREAD = 1.0
_BIAS_SPREAD = 0.3


@dataclass(frozen=True)
class Offset:
    """What is added to the logits. weight : shape (n_features,), on raw features; bias : one number"""

    weight: Floats
    bias: float

    def added(self, features: Floats) -> Floats:
        """Return what is added, shape (n_rows,). features : shape (n_rows, n_features)"""
        return np.asarray(features @ self.weight + self.bias)


def fit_offset(features: Floats, logits: Floats, target: Floats, weight: Floats, *, spread: float = SPREAD) -> Offset:
    """Return the offset that minimises the weighted log-loss of logits + offset, less the priors.

    features : shape (n_rows, n_features), standardised here; logits, target, weight : shape (n_rows,)
    target : what is right, in [0, 1]; a row whose target is the classifier's own probability holds it where it is
    spread : standard deviation of the prior on what the features of a usual row add, in logits
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    placed = (features - mean) / scale
    variance = spread**2 / max(1, features.shape[1])

    def loss(point: Floats) -> tuple[float, Floats]:
        moved = logits + placed @ point[:-1] + point[-1]
        log_loss = weight @ (np.logaddexp(0.0, moved) - target * moved)
        pull = (point[:-1] @ point[:-1]) / variance + (point[-1] / _BIAS_SPREAD) ** 2
        off = weight * (expit(moved) - target)
        gradient = np.append(placed.T @ off + point[:-1] / variance, off.sum() + point[-1] / _BIAS_SPREAD**2)
        return float(log_loss + pull / 2), gradient

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B").x
    by_raw = found[:-1] / scale
    return Offset(by_raw, float(found[-1] - by_raw @ mean))
