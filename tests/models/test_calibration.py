"""Temperature and calibration error on data whose truth is known."""

import numpy as np
import pytest

from models.calibration import debiased_ece, fit_temperature, softmax
from models.errors import CalibrationError


def _drawn(n_cases: int, *, sharpened: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_cases, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(scores)])
    return scores * sharpened, truth


def test_the_temperature_undoes_overconfidence() -> None:
    scores, truth = _drawn(20_000, sharpened=3.0)
    assert fit_temperature(scores, truth) == pytest.approx(3.0, rel=0.05)


def test_too_few_cases_are_refused() -> None:
    scores, truth = _drawn(49, sharpened=1.0)
    with pytest.raises(CalibrationError, match="needs 50 cases, got 49"):
        fit_temperature(scores, truth)


def test_calibration_error_is_near_zero_for_honest_and_large_for_boastful_confidence() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3, 1.0, 20_000)
    correct = rng.random(20_000) < confidence
    assert debiased_ece(confidence, correct) < 0.01
    assert debiased_ece(np.minimum(1.0, confidence + 0.2), correct) > 0.1
