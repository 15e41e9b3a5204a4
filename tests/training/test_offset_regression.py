"""What is added to a classifier's logits: little for few labels, nothing where labels say what it says already."""

import numpy as np
from scipy.special import expit

from training.offset_regression import fit_offset

rng = np.random.default_rng(0)
FEATURES = rng.normal(3.0, 5.0, (400, 16))
LOGITS = rng.normal(0.0, 2.0, 400)


def test_rows_that_say_what_the_classifier_says_move_nothing() -> None:
    offset = fit_offset(FEATURES, LOGITS, expit(LOGITS), np.ones(400))
    np.testing.assert_allclose(offset.added(FEATURES), 0.0, atol=1e-4)


def test_a_steady_difference_is_found_on_rows_never_learned_from() -> None:
    truth = expit(LOGITS + 0.3 * (FEATURES[:, 0] - 3.0) - 1.0)
    offset = fit_offset(FEATURES[:300], LOGITS[:300], truth[:300], np.ones(300))
    found = offset.added(FEATURES[300:])
    assert np.corrcoef(found, 0.3 * FEATURES[300:, 0])[0, 1] > 0.95


def test_few_labels_move_less_than_many() -> None:
    target = np.ones(400)
    moved = [
        fit_offset(FEATURES, np.zeros(400), target, np.full(400, weight)).added(FEATURES).mean()
        for weight in (0.001, 0.01, 1.0)
    ]
    assert 0 < moved[0] < moved[1] < moved[2]
