"""Temperature, noise and calibration error on data whose truth is known."""

import numpy as np
import pytest

from models.calibration import Calibration, debiased_ece, fit_calibration, softmax
from models.errors import CalibrationError


def _drawn(n_cases: int, *, sharpened: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_cases, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(scores)])
    return scores * sharpened, truth


def _alone(scores: np.ndarray, truth: np.ndarray) -> Calibration:
    return fit_calibration(scores, truth, np.zeros(len(truth), np.intp), n_groups=1)


def test_the_temperature_undoes_overconfidence() -> None:
    found = _alone(*_drawn(20_000, sharpened=3.0))
    assert found.temperatures[0] == pytest.approx(3.0, rel=0.05)
    assert found.noise[0] < 0.02


def test_the_noise_is_the_share_of_cases_that_follow_no_score() -> None:
    scores, truth = _drawn(20_000, sharpened=1.0)
    rng = np.random.default_rng(5)
    wild = rng.random(len(truth)) < 0.2
    truth[wild] = rng.integers(4, size=int(wild.sum()))
    scores = scores * 4.0
    found = _alone(scores, truth)
    confidence = found.apply(scores, np.zeros(len(truth), np.intp)).max(axis=1)
    correct = scores.argmax(axis=1) == truth
    assert debiased_ece(confidence, correct) < 0.01


def test_noise_caps_the_confidence() -> None:
    sure = Calibration(np.array([0.1, 0.1]), np.array([0.2, 0.0]))
    found = sure.apply(np.array([[9.0, 0.0, 0.0, 0.0]] * 2), np.array([0, 1]))
    assert found[0] == pytest.approx([0.85, 0.05, 0.05, 0.05])
    assert found[1] == pytest.approx([1.0, 0.0, 0.0, 0.0])


def test_each_group_gets_its_own_calibration_and_small_ones_keep_to_the_common_one() -> None:
    boastful, boastful_truth = _drawn(5_000, sharpened=3.0, seed=1)
    shy, shy_truth = _drawn(5_000, sharpened=1.0, seed=2)
    few, few_truth = _drawn(3, sharpened=9.0, seed=3)
    scores = np.concatenate([boastful, shy, few])
    truth = np.concatenate([boastful_truth, shy_truth, few_truth])
    groups = np.repeat([0, 1, 2], [5_000, 5_000, 3])
    found = fit_calibration(scores, truth, groups, n_groups=4)
    assert found.temperatures[0] == pytest.approx(3.0, rel=0.1)
    assert found.temperatures[1] == pytest.approx(1.0, rel=0.1)
    assert found.temperatures[2] == pytest.approx(found.temperatures[3], rel=0.5)
    assert found.temperatures[1] < found.temperatures[3] < found.temperatures[0]


def test_too_few_cases_are_refused() -> None:
    scores, truth = _drawn(49, sharpened=1.0)
    with pytest.raises(CalibrationError, match="needs 50 cases, got 49"):
        _alone(scores, truth)


def test_calibration_error_is_near_zero_for_honest_and_large_for_boastful_confidence() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3, 1.0, 20_000)
    correct = rng.random(20_000) < confidence
    assert debiased_ece(confidence, correct) < 0.01
    assert debiased_ece(np.minimum(1.0, confidence + 0.2), correct) > 0.1
