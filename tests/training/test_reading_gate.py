"""A changed reading passes where it is better on corrections, and never where it is worse on readers' labels."""

import numpy as np

from training.reading_gate import Told, folds_by_group, judge_reading


def told(old: float, new: float, *, n_rows: int = 30) -> Told:
    """Return rows that hold, read with these logits by the old and the new reading; two rows a seller."""
    groups = np.array([f"s-{row // 2}" for row in range(n_rows)], np.str_)
    noise = np.random.default_rng(1).normal(0, 0.1, n_rows)
    return Told(np.ones(n_rows, bool), old + noise, new + noise, groups)


def test_better_on_corrections_and_unchanged_for_readers_passes() -> None:
    verdict = judge_reading(told(-1, 1), told(2, 2))
    assert verdict.passed
    assert verdict.corrected.high < 0
    assert (verdict.n_corrected, verdict.certainty) == (30, 1.0)


def test_no_better_on_corrections_is_refused() -> None:
    verdict = judge_reading(told(-1, -1))
    assert not verdict.passed
    assert verdict.reasons == ("better on only 0% of resamples of what people corrected, 90% needed",)


def test_worse_for_readers_is_refused_however_good_on_corrections() -> None:
    verdict = judge_reading(told(-1, 3), told(1, -1))
    assert verdict.reasons == ("significantly more mistakes on what readers labelled",)


def test_a_seller_is_never_split_between_folds() -> None:
    groups = [f"s-{row % 7}" for row in range(50)]
    fold = folds_by_group(groups)
    assert set(fold) == {0, 1, 2, 3, 4}
    assert all(len({fold[row] for row in range(50) if groups[row] == name}) == 1 for name in set(groups))
    assert set(folds_by_group(["a", "a", "b"])) == {0, 1}
