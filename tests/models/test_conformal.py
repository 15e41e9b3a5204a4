"""Prediction sets hold the right ruling as often as promised."""

import numpy as np
import pytest

from models.conformal import prediction_sets, set_threshold, set_thresholds
from models.errors import CalibrationError


def _drawn(n_cases: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet(np.full(6, 0.5), size=n_cases)
    return np.array([rng.choice(6, p=row) for row in y_prob]), y_prob


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_sets_hold_the_true_ruling_as_often_as_promised(alpha: float) -> None:
    y_true, y_prob = _drawn(5_000, seed=1)
    threshold = set_threshold(y_true, y_prob, alpha=alpha)
    new_true, new_prob = _drawn(20_000, seed=2)
    covered = prediction_sets(new_prob, threshold=threshold)[np.arange(len(new_true)), new_true]
    assert covered.mean() == pytest.approx(1 - alpha, abs=0.01)


def test_a_known_threshold() -> None:
    y_true = np.zeros(9, np.intp)
    y_prob = np.column_stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10])
    assert set_threshold(y_true, y_prob, alpha=0.1) == pytest.approx(0.1)
    assert set_threshold(y_true, y_prob, alpha=0.2) == pytest.approx(0.2)


def test_each_group_gets_the_coverage_that_was_promised_unless_it_is_too_small() -> None:
    y_true, y_prob = _drawn(3_000, seed=3)
    groups = np.arange(3_000) % 2
    y_true[groups == 1] = np.random.default_rng(0).integers(6, size=1_500)
    groups[:100:2] = 2
    thresholds = set_thresholds(y_true, y_prob, groups, n_groups=4, alpha=0.1)
    assert thresholds[1] < thresholds[0]
    assert thresholds[2] == thresholds[3] == set_threshold(y_true, y_prob, alpha=0.1)
    sets = prediction_sets(y_prob, threshold=thresholds[groups])
    covered = sets[np.arange(3_000), y_true]
    assert covered[groups == 0].mean() == pytest.approx(0.9, abs=0.01)
    assert covered[groups == 1].mean() == pytest.approx(0.9, abs=0.01)


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(CalibrationError, match="needs 9 cases, got 8"):
        set_threshold(np.zeros(8, np.intp), np.full((8, 2), 0.5), alpha=0.1)


def test_no_set_is_empty() -> None:
    assert prediction_sets(np.array([[0.4, 0.35, 0.25]]), threshold=0.9).tolist() == [[True, False, False]]
