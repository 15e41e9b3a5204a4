"""RulingClassifier: evidence, ledger and facts → ruling probabilities.

The rules' own expectation over the findings is the starting point; the classifier learns from labelled outcomes how
far arbitrators depart from it. Knows nothing of text, photos or files' contents.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.burden import Order
from models.calibration import fit_temperature, softmax
from models.conformal import set_threshold
from models.domain import Case
from models.errors import NotFittedError, WeightsError
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings
from models.vocabulary import Claim, Ruling

RULINGS: tuple[Ruling, ...] = tuple(Ruling)
_REQUESTS = ("refund", "return_and_refund", "partial_refund", "replace")
_FLOOR = 0.01
FEATURES: tuple[str, ...] = (
    *(f"rules:{ruling}" for ruling in RULINGS),
    *(f"finding:{name}" for name in PROPOSITIONS),
    *(f"agreed:{remedy}" for remedy in AGREED_REMEDIES),
    *(f"claim:{claim}" for claim in Claim),
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
            [float(case.claim == claim) for claim in Claim],
            [float(case.requested == request) for request in _REQUESTS],
        ]
    )


@dataclass(frozen=True)
class _Fitted:
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    temperature: float
    threshold: float


class RulingClassifier:
    """Multinomial logistic regression on the rules' log-expectation, findings and facts.

    C : inverse strength of the pull towards the rules' own expectation
    alpha : share of prediction sets allowed to miss the true ruling
    """

    def __init__(self, *, C: float = 0.02, alpha: float = 0.1, seed: int = 0) -> None:
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
        """Learn the coefficients, then the temperature and the set threshold on cases not trained on.

        X : shape (n_cases, n_features); y_true : shape (n_cases,), index into RULINGS
        calibration : (X, y_true) of held-out cases, at least 50
        Raises CalibrationError when there are too few.
        """
        coef, intercept = self._descend(X, y_true, sample_weight)
        held_out, held_out_true = calibration
        scores = held_out @ coef.T + intercept
        temperature = fit_temperature(scores, held_out_true)
        threshold = set_threshold(held_out_true, softmax(scores / temperature), alpha=self.alpha)
        self.fitted_ = _Fitted(coef, intercept, temperature, threshold)
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
        return softmax(np.array(scores).reshape(-1, len(RULINGS)) / fitted.temperature)

    @property
    def threshold(self) -> float:
        """The lowest probability that keeps a ruling in the prediction set."""
        return self._require_fitted().threshold

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
            "temperature": fitted.temperature,
            "threshold": fitted.threshold,
        }
        (directory / "ruling.json").write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> "RulingClassifier":
        """Raises WeightsError when the file is absent, incomplete or was made for other features."""
        path = directory / "ruling.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            made_for = tuple(content["features"]), tuple(content["rulings"])
            classifier = cls(C=float(content["C"]), alpha=float(content["alpha"]), seed=int(content["seed"]))
            fitted = _Fitted(
                np.array(content["coef"], np.float64),
                np.array(content["intercept"], np.float64),
                float(content["temperature"]),
                float(content["threshold"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path.name} can't be read: {error!r}") from error
        shapes = fitted.coef.shape, fitted.intercept.shape
        if made_for != (FEATURES, RULINGS) or shapes != ((len(RULINGS), len(FEATURES)), (len(RULINGS),)):
            raise WeightsError(f"{path.name} was made for other features or rulings")
        finite = np.isfinite(fitted.coef).all() and np.isfinite(fitted.intercept).all()
        if not (finite and fitted.temperature > 0 and 0 <= fitted.threshold <= 1):
            raise WeightsError(f"{path.name} holds numbers that are no weights")
        classifier.fitted_ = fitted
        return classifier
