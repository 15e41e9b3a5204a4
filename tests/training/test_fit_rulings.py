"""What is learned from simulated disputes: calibrated, covered, never far from the rules."""

import numpy as np
import pytest

from models.ruling import RulingClassifier
from training.fit_rulings import fit_rulings, ruling_table, simulated_figures
from training.photo_errors import PhotoErrors
from training.sensitivity import measure_sensitivity, sensitivity_table
from training.simulate import simulate
from training.statement_pool import StatementPool


@pytest.fixture(scope="module")
def classifier(pool: StatementPool, photo_errors: PhotoErrors) -> RulingClassifier:
    return fit_rulings(pool=pool, photo_errors=photo_errors, seed=1, n_train=1200, n_calibration=3000)


def test_sets_hold_the_ruling_as_often_as_promised_and_confidence_is_honest(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    figures = simulated_figures(classifier, pool=pool, photo_errors=photo_errors, n_cases=3000, seed=2, least_a_claim=0)
    assert figures["simulated.set_coverage"].value == pytest.approx(0.9, abs=0.03)
    assert figures["simulated.ece"].value <= 0.03
    assert figures["simulated.accuracy"].value > 0.7


def test_learning_does_not_lose_what_the_rules_alone_get_right(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    X, y_true = ruling_table(simulate(800, pool=pool, photo_errors=photo_errors, seed=99))
    rules_alone = (X[:, :6].argmax(axis=1) == y_true).mean()
    assert (classifier.predict_proba(X).argmax(axis=1) == y_true).mean() >= rules_alone - 0.01


def test_the_same_seed_learns_the_same(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    once, again = (
        fit_rulings(pool=pool, photo_errors=photo_errors, seed=1, n_train=200, n_calibration=200) for _ in range(2)
    )
    X, _ = ruling_table(simulate(20, pool=pool, photo_errors=photo_errors, seed=5))
    assert np.array_equal(once.predict_proba(X), again.predict_proba(X))


def test_the_sensitivity_table_has_two_rows_a_parameter(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.sensitivity.PARAMETERS", {"agreement": 0.16})
    rows = measure_sensitivity(classifier, pool=pool, photo_errors=photo_errors, n_cases=100, seed=3)
    assert [row.parameter for row in rows] == ["as shipped", "agreement", "agreement"]
    assert sensitivity_table(rows).count("\n") == 4
