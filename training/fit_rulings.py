"""Fitting of the RulingClassifier on simulated disputes, and measuring it on others.

The simulator's chats carry probabilities of a chat classifier that never saw their messages; its photo scores carry
measured error rates. Knows nothing of real outcomes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.burden import expected_orders
from models.calibration import debiased_ece
from models.conformal import prediction_sets
from models.findings import read_findings
from models.rule_pack import shipped_rule_book
from models.ruling import RULINGS, RulingClassifier, features
from models.vocabulary import Claim
from training.metrics import Figure, bootstrap
from training.photo_errors import PhotoErrors
from training.simulate import SimulatedCase, simulate
from training.simulated_file import SIMULATED_ON
from training.statement_pool import StatementPool

N_TRAIN = 8_000
N_CALIBRATION = 4_000
_MEASURE_SEED_OFFSET = 1_000_003


def fit_rulings(
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    seed: int,
    n_train: int = N_TRAIN,
    n_calibration: int = N_CALIBRATION,
) -> RulingClassifier:
    """Return a ruling classifier learned from simulated cases and calibrated on others."""
    cases = simulate(n_train + n_calibration, pool=pool, photo_errors=photo_errors, seed=seed)
    X, y_true = ruling_table(cases)
    classifier = RulingClassifier(seed=seed)
    return classifier.fit(X[:n_train], y_true[:n_train], calibration=(X[n_train:], y_true[n_train:]))


def ruling_table(cases: Sequence[SimulatedCase]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return (features, ruling index), shapes (n_cases, n_features) and (n_cases,)."""
    book = shipped_rule_book()
    rows = []
    for simulated in cases:
        case = simulated.evidence.case
        pack = book.pack_for(case, ruled_on=SIMULATED_ON)
        findings = read_findings(simulated.evidence, no_reason_days=pack.no_reason_return_days)
        rows.append(features(case, findings, expected_orders(case, pack, findings)))
    return np.array(rows), np.array([RULINGS.index(simulated.order.ruling) for simulated in cases], np.intp)


def simulated_figures(
    classifier: RulingClassifier, *, pool: StatementPool, photo_errors: PhotoErrors, n_cases: int, seed: int
) -> dict[str, Figure]:
    """Return accuracy, calibration error and set coverage on simulated cases never fitted on, overall and per claim."""
    cases = simulate(n_cases, pool=pool, photo_errors=photo_errors, seed=seed + _MEASURE_SEED_OFFSET)
    X, y_true = ruling_table(cases)
    y_prob = classifier.predict_proba(X)
    correct = y_prob.argmax(axis=1) == y_true
    confidence = y_prob.max(axis=1)
    covered = prediction_sets(y_prob, threshold=classifier.threshold)[np.arange(len(y_true)), y_true]
    claims = np.array([str(simulated.evidence.case.claim) for simulated in cases])

    def figures(name: str, rows: NDArray[np.intp]) -> dict[str, Figure]:
        groups = np.arange(len(rows))
        accuracy, coverage = correct[rows], covered[rows]
        return {
            f"simulated.accuracy{name}": bootstrap(lambda kept: float(accuracy[kept].mean()), groups),
            f"simulated.set_coverage{name}": bootstrap(lambda kept: float(coverage[kept].mean()), groups),
            f"simulated.ece{name}": bootstrap(
                lambda kept: debiased_ece(confidence[rows][kept], accuracy[kept]), groups, n_bootstrap=100
            ),
        }

    found = figures("", np.arange(len(cases)))
    for claim in Claim:
        rows = np.flatnonzero(claims == claim)
        if len(rows):
            found |= figures(f".{claim}", rows)
    return found
