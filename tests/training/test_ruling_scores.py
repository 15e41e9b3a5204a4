"""Scored rulings: accuracy, coverage and calibration by slice, and whom the errors favour."""

import numpy as np
import pytest

from models.ruling import RULINGS
from models.vocabulary import Ruling
from training.ruling_scores import RulingScores, party_errors, score_figures, slice_figures

REFUND, DISMISS, RETURN, REPLACE = (
    RULINGS.index(one) for one in (Ruling.REFUND, Ruling.DISMISS, Ruling.RETURN_AND_REFUND, Ruling.REPLACE)
)


def scores(pairs: list[tuple[int, int]], *, in_set: list[set[int]] | None = None, **labels: list[str]) -> RulingScores:
    """Return scores of (true, given) rulings, each given with certainty."""
    y_prob = np.zeros((len(pairs), len(RULINGS)))
    sets = np.zeros((len(pairs), len(RULINGS)), np.bool_)
    for row, (_, given) in enumerate(pairs):
        y_prob[row, given] = 1.0
        sets[row, list(in_set[row]) if in_set else [given]] = True
    return RulingScores(
        y_true=np.array([true for true, _ in pairs], np.intp),
        y_prob=y_prob,
        in_set=sets,
        case_ids=np.arange(len(pairs)).astype(np.str_),
        labels={name: np.array(values) for name, values in labels.items()},
    )


def test_figures_count_what_was_right_covered_and_how_large_the_sets_are() -> None:
    found = score_figures(scores([(REFUND, REFUND), (DISMISS, REFUND)], in_set=[{REFUND}, {REFUND, DISMISS}]))
    assert found["accuracy"].value == 0.5
    assert found["set_coverage"].value == 1.0
    assert found["set_size"].value == 1.5
    assert found["ece"].value == pytest.approx(0.5)


def test_a_slice_sees_its_own_cases_alone() -> None:
    found = slice_figures(
        scores([(REFUND, REFUND), (DISMISS, REFUND), (DISMISS, DISMISS)], language=["zh", "en", "zh"]), "language"
    )
    assert list(found) == ["en", "zh"]
    assert found["zh"]["accuracy"].value == 1.0
    assert found["en"]["accuracy"].value == 0.0
    assert found["zh"]["accuracy"].n == 2


def test_draws_of_one_case_count_as_one_case() -> None:
    one = scores([(REFUND, REFUND), (REFUND, DISMISS)])
    same = RulingScores(one.y_true, one.y_prob, one.in_set, np.array(["a", "a"]), {})
    assert score_figures(same)["accuracy"].n == 1


def test_errors_are_counted_for_the_party_they_favour_and_equal_gifts_for_none() -> None:
    found = party_errors(scores([(DISMISS, REFUND), (REFUND, DISMISS), (RETURN, REPLACE), (REFUND, REFUND)]))
    assert found["too_much_for_buyer"].value == 0.25
    assert found["too_little_for_buyer"].value == 0.25
