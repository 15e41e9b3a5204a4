"""The gate: may the challenger replace the champion?

Both are asked about the same cases, which neither learned from and whose labels no suggestion could colour. Differences
carry paired bootstrap intervals over sellers. The challenger passes when it is better on log-loss with some certainty
and nowhere significantly worse. Knows nothing of how either was trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import debiased_ece
from models.ruling import RulingClassifier, claims_of
from training.metrics import Figure, bootstrap
from training.outcome_table import OutcomeTable, towards

MIN_GOLD = 50
MIN_SLICE = 20
CERTAINTY = 0.9
_LEVEL = 0.05
_N_OVERALL = 5
_N_BOOTSTRAP = 400
Statistic = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True)
class Answers:
    """What a model says to the judged cases.

    y_prob : shape (n_cases, n_rulings); in_set : the same shape, which rulings its prediction sets hold; alpha : the
    share of sets allowed to miss
    """

    y_prob: NDArray[np.float64]
    in_set: NDArray[np.bool_]
    alpha: float


@dataclass(frozen=True)
class Comparison:
    """A figure of both, and challenger minus champion with its interval. worse : significantly so for the challenger"""

    name: str
    champion: float
    challenger: float
    difference: Figure
    worse: bool


@dataclass(frozen=True)
class Verdict:
    """passed, and every reason why not.

    overall : at a level that allows for the figures that may refuse
    certainty : share of resamples on which the challenger has the lower log-loss
    slices : log-loss of each slice of `MIN_SLICE` cases or more, at a level that allows for their number
    """

    passed: bool
    reasons: tuple[str, ...]
    n_gold: int
    certainty: float
    overall: tuple[Comparison, ...] = ()
    slices: tuple[Comparison, ...] = ()
    coverage: Figure | None = None
    alpha: float = 0.1


def answers(classifier: RulingClassifier, X: NDArray[np.float64]) -> Answers:
    """Return what a ruling model says. X : shape (n_cases, n_features)"""
    y_prob = classifier.predict_proba(X)
    return Answers(y_prob, classifier.predict_sets(y_prob, claims_of(X)), classifier.alpha)


def judge(
    judged: OutcomeTable, champion: Answers, challenger: Answers, *, failed_behaviour: Sequence[str] = (), seed: int = 0
) -> Verdict:
    """Return whether the challenger may replace the champion on gold cases, and why not.

    judged : the cases, gold labels only; failed_behaviour : behaviour tests that the challenger failed
    """
    n_gold = len(judged)
    if n_gold < MIN_GOLD:
        reason = f"{n_gold} blind or appealed cases to judge on, {MIN_GOLD} needed"
        return Verdict(False, (reason, *failed_behaviour), n_gold, 0.0)
    old, new = _losses(judged, champion), _losses(judged, challenger)
    certainty = share_better(new["log_loss"] - old["log_loss"], judged.groups, seed=seed)
    overall = [
        compared(name, old[name], new[name], judged.groups, level=_LEVEL / _N_OVERALL, seed=seed) for name in old
    ]
    overall.append(_calibration(judged, champion, challenger, seed=seed))
    tested = [
        (name, value)
        for name, values in judged.slices.items()
        for value in np.unique(values)
        if (values == value).sum() >= MIN_SLICE
    ]
    slices = [
        compared(
            f"{name}={value}",
            old["log_loss"][rows],
            new["log_loss"][rows],
            judged.groups[rows],
            level=_LEVEL / max(1, len(tested)),
            seed=seed,
        )
        for name, value in tested
        for rows in [np.flatnonzero(judged.slices[name] == value)]
    ]
    covered = 1.0 - new["set_misses"]
    coverage = bootstrap(lambda rows: float(covered[rows].mean()), judged.groups, n_bootstrap=_N_BOOTSTRAP, seed=seed)
    reasons = [*failed_behaviour]
    if certainty < CERTAINTY:
        reasons.append(f"lower log-loss on only {certainty:.0%} of resamples, {CERTAINTY:.0%} needed")
    reasons += [f"{one.name} is significantly worse" for one in (*overall, *slices) if one.worse]
    if coverage.high < 1 - challenger.alpha:
        reasons.append(f"prediction sets hold {coverage.value:.0%} of the rulings, {1 - challenger.alpha:.0%} promised")
    return Verdict(
        not reasons, tuple(reasons), n_gold, certainty, tuple(overall), tuple(slices), coverage, challenger.alpha
    )


def _losses(judged: OutcomeTable, said: Answers) -> Mapping[str, NDArray[np.float64]]:
    """Return per case what is lost by each measure, lower is better, shapes (n_cases,)."""
    y_true, rows = judged.y_true, np.arange(len(judged))
    y_pred = said.y_prob.argmax(axis=1).astype(np.intp)
    return {
        "log_loss": -np.log(np.maximum(said.y_prob[rows, y_true], 1e-12)),
        "error_rate": (y_pred != y_true).astype(float),
        "errors_towards_buyer": towards(y_true, y_pred, "buyer").astype(float),
        "errors_towards_seller": towards(y_true, y_pred, "seller").astype(float),
        "set_misses": (~said.in_set[rows, y_true]).astype(float),
        "set_size": said.in_set.sum(axis=1).astype(float),
    }


def compared(
    name: str,
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    groups: NDArray[np.str_],
    *,
    level: float = _LEVEL,
    seed: int,
) -> Comparison:
    """Return the means of both and the paired difference. old, new, groups : shape (n_cases,), lower is better

    Set size and misses only inform as long as coverage holds.

    So does the log-loss of those a ruling gave right: chosen by their label, they lose when doubt moves the other way
    rightly. Errors towards either party are judged over all cases.
    """
    difference = _paired(lambda rows: float((new[rows] - old[rows]).mean()), groups, level=level, seed=seed)
    informs = name in ("set_size", "set_misses") or name.startswith("party=")
    return Comparison(name, float(old.mean()), float(new.mean()), difference, difference.low > 0 and not informs)


def _calibration(judged: OutcomeTable, champion: Answers, challenger: Answers, *, seed: int) -> Comparison:
    def error(said: Answers) -> Statistic:
        correct = said.y_prob.argmax(axis=1) == judged.y_true
        confidence = said.y_prob.max(axis=1)
        return lambda rows: debiased_ece(confidence[rows], correct[rows], n_bins=10)

    old, new = error(champion), error(challenger)
    everything = np.arange(len(judged))
    difference = _paired(lambda rows: new(rows) - old(rows), judged.groups, level=_LEVEL / _N_OVERALL, seed=seed)
    return Comparison("calibration_error", old(everything), new(everything), difference, difference.low > 0)


def _paired(statistic: Statistic, groups: NDArray[np.str_], *, level: float, seed: int) -> Figure:
    return bootstrap(statistic, groups, n_bootstrap=_N_BOOTSTRAP, seed=seed, level=level)


def share_better(difference: NDArray[np.float64], groups: NDArray[np.str_], *, seed: int) -> float:
    """Return the share of resamples of groups whose mean difference is below 0. Shapes (n_cases,)."""
    names, codes = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(codes, difference), np.bincount(codes)
    drawn = np.random.default_rng(seed).integers(len(names), size=(_N_BOOTSTRAP, len(names)))
    return float((sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) < 0).mean())
