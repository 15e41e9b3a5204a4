"""Labels that may be wrong, listed for people to look at; none is dropped.

Source: confident learning, Northcutt, Jiang & Chuang, JAIR 70 (2021), by cleanlab. Knows nothing of how the labels are
used afterwards.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ruling import RULINGS, RulingClassifier
from models.vocabulary import Ruling
from training.outcome_table import OutcomeTable
from training.provenance import Provenance

_FEWEST = 20


@dataclass(frozen=True)
class Suspect:
    """A label that other cases speak against. quality : in [0, 1], the lower the likelier a slip"""

    key: str
    label: Ruling
    likelier: Ruling
    quality: float
    provenance: Provenance


def suspects(
    table: OutcomeTable,
    provenance: Sequence[Provenance],
    *,
    classifier: RulingClassifier,
    seed: int,
    simulated: tuple[NDArray[np.float64], NDArray[np.intp]],
) -> list[Suspect]:
    """Return the suspicious labels, disagreements with the machine first, then by quality.

    classifier : whose C is used; each case is judged by a model that didn't learn from its seller
    simulated : (X, y_true) that each of these models learns from besides, half to fit, half to calibrate
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.model_selection import GroupKFold

    classes = np.unique(table.y_true)
    if len(table) < _FEWEST or len(classes) < 2 or len(np.unique(table.groups)) < 3:
        return []
    X, y_true = simulated
    half = len(y_true) // 2
    y_prob = np.zeros((len(table), len(RULINGS)))
    folds = GroupKFold(min(5, len(np.unique(table.groups))))
    for known, held_out in folds.split(table.X, table.y_true, table.groups):
        fitted = RulingClassifier(C=classifier.C, alpha=classifier.alpha, seed=seed).fit(
            np.vstack([X[:half], table.X[known]]),
            np.concatenate([y_true[:half], table.y_true[known]]),
            calibration=(X[half:], y_true[half:]),
        )
        y_prob[held_out] = fitted.predict_proba(table.X[held_out])
    among = y_prob[:, classes] / y_prob[:, classes].sum(axis=1, keepdims=True)
    labels = np.searchsorted(classes, table.y_true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = find_label_issues(labels, among, return_indices_ranked_by="self_confidence", n_jobs=1)
        quality = get_label_quality_scores(labels, among)
    found = [
        Suspect(
            table.keys[place],
            RULINGS[table.y_true[place]],
            RULINGS[int(y_prob[place].argmax())],
            float(quality[place]),
            provenance[place],
        )
        for place in places
    ]
    return sorted(found, key=lambda one: (one.provenance != Provenance.DISAGREED, one.quality))
