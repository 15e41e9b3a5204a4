"""RulingClassifier: evidence, ledger and facts → ruling probabilities.

The rules' own expectation over the findings is the starting point; the classifier learns from labelled outcomes how
far arbitrators depart from it. Knows nothing of text, photos or files' contents.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.burden import Order
from models.calibration import Calibration, fit_calibration, softmax
from models.conformal import prediction_sets, set_thresholds
from models.domain import Case
from models.errors import NotFittedError, WeightsError
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings
from models.vocabulary import Claim, Ruling

RULINGS: tuple[Ruling, ...] = tuple(Ruling)
CLAIMS: tuple[Claim, ...] = tuple(Claim)
_REQUESTS = ("refund", "return_and_refund", "partial_refund", "replace")
_FLOOR = 0.01
FEATURES: tuple[str, ...] = (
    *(f"rules:{ruling}" for ruling in RULINGS),
    *(f"finding:{name}" for name in PROPOSITIONS),
    *(f"agreed:{remedy}" for remedy in AGREED_REMEDIES),
    *(f"claim:{claim}" for claim in CLAIMS),
    *(f"requested:{request}" for request in _REQUESTS),
)


def ruling_prior(orders: dict[Order, float]) -> NDArray[np.float64]:
    """Return what the rules expect, shape (n_rulings,), summing to 1."""
    prior = np.zeros(len(RULINGS))
    for order, probability in orders.items():
        prior[RULINGS.index(order.ruling)] += probability
    return prior


def features(case: Case, findings: Findings, orders: dict[Order, float]) -> NDArray[np.float64]:
    """Return the feature vector, shape (n_features,), in the order of FEATURES."""
    return np.concatenate(
        [
            np.log(ruling_prior(orders) + _FLOOR),
            [findings.stated[name].probability for name in PROPOSITIONS],
            [findings.agreed[remedy].probability for remedy in AGREED_REMEDIES],
            [float(case.claim == claim) for claim in CLAIMS],
            [float(case.requested == request) for request in _REQUESTS],
        ]
    )


@dataclass(frozen=True)
class _Fitted:
    """calibration : by claim; thresholds : shape (n_claims,); both in the order of CLAIMS."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    calibration: Calibration
    thresholds: NDArray[np.float64]


class RulingClassifier:
    """Multinomial logistic regression on the rules' log-expectation, findings and facts; calibrated claim by claim.

    C : inverse strength of the pull towards the rules' own expectation
    alpha : share of prediction sets allowed to miss the true ruling
    """

    def __init__(self, *, C: float = 0.002, alpha: float = 0.1, seed: int = 0) -> None:
        self.C = C
        self.alpha = alpha
        self.seed = seed
        self.fitted_: _Fitted | None = None

    def fit(
        self,
        X: NDArray[np.float64],
        y_true: NDArray[np.intp],
        *,
        calibration: tuple[NDArray[np.float64], NDArray[np.intp]],
        sample_weight: NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn the coefficients, then each claim's calibration and set threshold on cases not trained on.

        X : shape (n_cases, n_features); y_true : shape (n_cases,), index into RULINGS
        calibration : (X, y_true) of held-out cases, at least 50
        Raises CalibrationError when there are too few.
        """
        coef, intercept = self._descend(X, y_true, sample_weight)
        held_out, held_out_true = calibration
        scores = held_out @ coef.T + intercept
        claims = _claims_of(held_out)
        by_claim = fit_calibration(scores, held_out_true, claims, n_groups=len(CLAIMS))
        y_prob = by_claim.apply(scores, claims)
        thresholds = set_thresholds(held_out_true, y_prob, claims, n_groups=len(CLAIMS), alpha=self.alpha)
        self.fitted_ = _Fitted(coef, intercept, by_claim, thresholds)
        return self

    def _descend(
        self, X: NDArray[np.float64], y_true: NDArray[np.intp], sample_weight: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Minimise log-loss plus the squared distance of the coefficients from the rules' own expectation."""
        from scipy.optimize import minimize

        n_cases, n_features = X.shape
        n_rulings = len(RULINGS)
        weight = np.ones(n_cases) if sample_weight is None else sample_weight
        weight = weight / weight.sum()
        start = np.zeros((n_rulings, n_features + 1))
        start[:, :n_rulings] = np.eye(n_rulings)
        padded = np.hstack([X, np.ones((n_cases, 1))])
        truth = np.eye(n_rulings)[y_true]

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = flat.reshape(start.shape)
            probabilities = softmax(padded @ theta.T)
            distance = theta - start
            fit = -(weight * np.log(np.maximum(probabilities[np.arange(n_cases), y_true], 1e-12))).sum()
            gradient = ((probabilities - truth) * weight[:, None]).T @ padded + 2 * self._pull * distance
            return float(fit + self._pull * (distance**2).sum()), gradient.ravel()

        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        theta = found.x.reshape(start.shape)
        return theta[:, :-1], theta[:, -1]

    @property
    def _pull(self) -> float:
        return 1e-4 / self.C

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (n_cases, n_rulings). Raises NotFittedError before `fit` or `load`."""
        fitted = self._require_fitted()
        # One row at a time: the sum over features then never depends on what else is scored.
        scores = [fitted.coef @ row + fitted.intercept for row in X]
        return fitted.calibration.apply(np.array(scores).reshape(-1, len(RULINGS)), _claims_of(X))

    def predict_sets(self, y_prob: NDArray[np.float64], claims: Sequence[Claim]) -> NDArray[np.bool_]:
        """Return which rulings are in each case's prediction set, shape (n_cases, n_rulings).

        y_prob : shape (n_cases, n_rulings), as `predict_proba` returns them; claims : of each case
        """
        return prediction_sets(y_prob, threshold=np.array([self.threshold_of(claim) for claim in claims]))

    def threshold_of(self, claim: Claim) -> float:
        """Return the lowest probability that keeps a ruling in the prediction set of a case of this claim."""
        return float(self._require_fitted().thresholds[CLAIMS.index(claim)])

    def _require_fitted(self) -> _Fitted:
        if self.fitted_ is None:
            raise NotFittedError("the ruling classifier is not fitted")
        return self.fitted_

    def save(self, directory: Path) -> None:
        """Write ruling.json into `directory`, coefficients rounded to 6 decimals."""
        fitted = self._require_fitted()
        directory.mkdir(parents=True, exist_ok=True)
        content = {
            "features": FEATURES,
            "rulings": RULINGS,
            "C": self.C,
            "alpha": self.alpha,
            "seed": self.seed,
            "coef": np.round(fitted.coef, 6).tolist(),
            "intercept": np.round(fitted.intercept, 6).tolist(),
            "claims": CLAIMS,
            "temperatures": np.round(fitted.calibration.temperatures, 6).tolist(),
            "noise": np.round(fitted.calibration.noise, 6).tolist(),
            "thresholds": fitted.thresholds.tolist(),
        }
        (directory / "ruling.json").write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> "RulingClassifier":
        """Raises WeightsError when the file is absent, incomplete or was made for other features."""
        path = directory / "ruling.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            made_for = tuple(content["features"]), tuple(content["rulings"]), tuple(content["claims"])
            classifier = cls(C=float(content["C"]), alpha=float(content["alpha"]), seed=int(content["seed"]))
            fitted = _Fitted(
                np.array(content["coef"], np.float64),
                np.array(content["intercept"], np.float64),
                Calibration(np.array(content["temperatures"], np.float64), np.array(content["noise"], np.float64)),
                np.array(content["thresholds"], np.float64),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path.name} can't be read: {error!r}") from error
        by_claim = (fitted.calibration.temperatures, fitted.calibration.noise, fitted.thresholds)
        shapes = fitted.coef.shape, fitted.intercept.shape, *(numbers.shape for numbers in by_claim)
        wanted = ((len(RULINGS), len(FEATURES)), (len(RULINGS),), *((len(CLAIMS),),) * 3)
        if made_for != (FEATURES, RULINGS, CLAIMS) or shapes != wanted:
            raise WeightsError(f"{path.name} was made for other features, rulings or claims")
        finite = all(np.isfinite(numbers).all() for numbers in (fitted.coef, fitted.intercept, *by_claim))
        shares = (fitted.calibration.noise, fitted.thresholds)
        in_range = all(((numbers >= 0) & (numbers <= 1)).all() for numbers in shares)
        if not (finite and in_range and (fitted.calibration.temperatures > 0).all()):
            raise WeightsError(f"{path.name} holds numbers that are no weights")
        classifier.fitted_ = fitted
        return classifier


def claims_of(X: NDArray[np.float64]) -> list[Claim]:
    """Return the claim of each feature row, shape (n_cases, n_features)."""
    return [CLAIMS[place] for place in _claims_of(X)]


def _claims_of(X: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the claim of each feature row, shape (n_cases,), index into CLAIMS."""
    first = FEATURES.index(f"claim:{CLAIMS[0]}")
    return np.asarray(X[:, first : first + len(CLAIMS)].argmax(axis=1), np.intp)
