"""Figures and their intervals against known answers."""

import numpy as np
import pytest

from training.metrics import auroc, bootstrap, false_alarm_at_recall, macro_f1


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).random(400)
    figure = bootstrap(lambda rows: float(values[rows].mean()), np.arange(400), n_bootstrap=1000)
    expected = 1.96 * values.std() / np.sqrt(400)
    assert figure.value == pytest.approx(values.mean())
    assert (figure.high - figure.low) / 2 == pytest.approx(expected, rel=0.15)


def test_groups_stay_together_so_repeated_rows_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).random(30)
    alone = bootstrap(lambda rows: float(values[rows].mean()), np.arange(30))
    tripled, groups = np.repeat(values, 3), np.repeat(np.arange(30), 3)
    repeated = bootstrap(lambda rows: float(tripled[rows].mean()), groups)
    assert repeated.high - repeated.low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_known_areas_and_scores() -> None:
    truth = np.array([False, False, True, True])
    assert auroc(truth, np.array([0.1, 0.2, 0.8, 0.9])) == 1.0
    assert auroc(truth, np.array([0.9, 0.8, 0.2, 0.1])) == 0.0
    assert np.isnan(auroc(np.array([True, True]), np.array([0.1, 0.2])))
    assert macro_f1(np.eye(3, dtype=bool), np.eye(3, dtype=bool)) == 1.0


def test_false_alarms_are_counted_at_the_wanted_recall() -> None:
    truth = np.array([True] * 10 + [False] * 10)
    scores = np.concatenate([np.linspace(0.1, 1.0, 10), np.linspace(0.0, 0.45, 10)])
    assert false_alarm_at_recall(truth, scores, recall=0.9) == pytest.approx(0.6)


def test_one_label_alone_has_the_f1_of_its_positives() -> None:
    y_true, y_pred = np.array([[True], [True], [False], [False]]), np.array([[True], [False], [False], [False]])
    assert macro_f1(y_true, y_pred) == pytest.approx(2 / 3)
