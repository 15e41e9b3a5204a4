"""The gate for what reads the evidence: may a changed reading of statements or photos take the old one's place?

The changed reading speaks of labels it did not learn from (cross-validated by seller). It passes when it has the lower
log-loss on what people corrected, with some certainty, and makes not significantly more mistakes on what readers
labelled without any machine. The ruling's own gate judges the whole afterwards. Knows nothing of how either learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.gate import CERTAINTY, compared, share_better
from training.metrics import Figure

_N_FOLDS = 5


@dataclass(frozen=True)
class Told:
    """Labels that people gave, and both readings of them.

    y_true : shape (n_rows,); old, new : logits, shape (n_rows,); groups : seller or case of each row
    """

    y_true: NDArray[np.bool_]
    old: NDArray[np.float64]
    new: NDArray[np.float64]
    groups: NDArray[np.str_]

    @property
    def losses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the log-loss of each row by the old and by the new reading."""
        sign = np.where(self.y_true, -1.0, 1.0)
        return np.logaddexp(0.0, sign * self.old), np.logaddexp(0.0, sign * self.new)

    @property
    def mistakes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the old and where the new reading decides wrongly, 1 or 0 a row."""
        old, new = (((logits >= 0) != self.y_true).astype(np.float64) for logits in (self.old, self.new))
        return old, new


@dataclass(frozen=True)
class ReadingVerdict:
    """passed, and every reason why not.

    n_corrected : corrections it was judged on; certainty : share of resamples with the lower log-loss
    corrected : change of log-loss on corrections, below 0 is better; reference : change of the share of mistakes on
    readers' labels
    """

    passed: bool
    reasons: tuple[str, ...]
    n_corrected: int
    certainty: float
    corrected: Figure
    reference: Figure | None = None


def judge_reading(corrected: Told, reference: Told | None = None, *, seed: int = 0, n_tests: int = 1) -> ReadingVerdict:
    """Return whether the new reading may replace the old one.

    corrected : what people corrected, the new reading cross-validated; reference : what readers labelled by themselves
    n_tests : readings judged side by side, which the level of the reference's interval allows for
    """
    old, new = corrected.losses
    certainty = share_better(new - old, corrected.groups, seed=seed)
    on_corrected = compared("corrected", old, new, corrected.groups, seed=seed)
    reasons = []
    if certainty < CERTAINTY:
        reasons.append(f"better on only {certainty:.0%} of resamples of what people corrected, {CERTAINTY:.0%} needed")
    on_reference = None
    if reference is not None and len(reference.y_true):
        judged = compared("reference", *reference.mistakes, reference.groups, seed=seed, level=0.05 / n_tests)
        on_reference = judged.difference
        if judged.worse:
            reasons.append("significantly more mistakes on what readers labelled")
    return ReadingVerdict(
        not reasons, tuple(reasons), len(corrected.y_true), certainty, on_corrected.difference, on_reference
    )


def judge_unlearned(reference: Told, *, seed: int = 0) -> str | None:
    """Return why a reading that can't be cross-validated may not replace the old one, None where it may.

    reference : readers' labels that neither reading learned from
    """
    judged = compared("reference", *reference.mistakes, reference.groups, seed=seed)
    if not judged.worse:
        return None
    return f"significantly more mistakes on what readers labelled, {judged.champion:.1%} became {judged.challenger:.1%}"


def folds_by_group(groups: Sequence[str] | NDArray[np.str_], *, n_folds: int = _N_FOLDS) -> NDArray[np.intp]:
    """Return a fold for each row, groups whole, the largest dealt out first; fewer folds where there are few groups."""
    names, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    n_folds = min(n_folds, len(names))
    fold_of, filled = np.zeros(len(names), np.intp), np.zeros(n_folds, np.intp)
    for place in np.argsort(-sizes, kind="stable"):
        fold_of[place] = filled.argmin()
        filled[fold_of[place]] += sizes[place]
    return fold_of[codes]
