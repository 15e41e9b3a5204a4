"""Fitting of the RulingClassifier on simulated disputes, and measuring it on others.

The simulator's chats carry probabilities of a chat classifier that never saw their messages; its photo scores carry
measured error rates. Knows nothing of real outcomes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.adjudication import expected_orders
from models.findings import read_findings
from models.rule_pack import shipped_rule_book
from models.ruling import RULINGS, RulingClassifier, features
from models.vocabulary import Claim
from training.metrics import Figure
from training.photo_errors import PhotoErrors
from training.ruling_scores import RulingScores, score_figures
from training.simulate import SimulatedCase, simulate
from training.simulated_file import SIMULATED_ON
from training.statement_pool import StatementPool

N_TRAIN = 8_000
N_CALIBRATION = 64_000
_EVERY_CLAIM_ALIKE = dict.fromkeys(Claim, 1.0)
_CALIBRATION_SEED_OFFSET = 2_000_003
MEASURE_SEED_OFFSET = 1_000_003
_LEAST_A_CLAIM = 2_000


def fit_rulings(
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    seed: int,
    n_train: int = N_TRAIN,
    n_calibration: int = N_CALIBRATION,
) -> RulingClassifier:
    """Return a ruling classifier learned from simulated cases and calibrated on others, as many of every claim."""
    learned = simulate(n_train, pool=pool, photo_errors=photo_errors, seed=seed)
    others = simulate(
        n_calibration,
        pool=pool,
        photo_errors=photo_errors,
        seed=seed + _CALIBRATION_SEED_OFFSET,
        claim_shares=_EVERY_CLAIM_ALIKE,
    )
    return RulingClassifier(seed=seed).fit(*ruling_table(learned), calibration=ruling_table(others))


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
    classifier: RulingClassifier,
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    n_cases: int,
    seed: int,
    least_a_claim: int = _LEAST_A_CLAIM,
) -> dict[str, Figure]:
    """Return accuracy, calibration error and set coverage on simulated cases never fitted on, overall and per claim.

    n_cases : drawn with the simulator's shares of claims; a claim's own figures are over at least `least_a_claim`
    """
    first = seed + MEASURE_SEED_OFFSET
    cases = simulate(n_cases, pool=pool, photo_errors=photo_errors, seed=first)
    found = _named(score_simulated(classifier, cases), "")
    for number, claim in enumerate(Claim, start=1):
        of_claim = [simulated for simulated in cases if simulated.evidence.case.claim == claim]
        missing = max(0, least_a_claim - len(of_claim))
        more = simulate(missing, pool=pool, photo_errors=photo_errors, seed=first + number, claim_shares={claim: 1.0})
        found |= _named(score_simulated(classifier, [*of_claim, *more]), f".{claim}")
    return found


def score_simulated(classifier: RulingClassifier, cases: Sequence[SimulatedCase]) -> RulingScores:
    """Return the rulings that the classifier gives on simulated cases."""
    X, y_true = ruling_table(cases)
    y_prob = classifier.predict_proba(X)
    claims = [simulated.evidence.case.claim for simulated in cases]
    return RulingScores(
        y_true=y_true,
        y_prob=y_prob,
        in_set=classifier.predict_sets(y_prob, claims),
        case_ids=np.arange(len(cases)).astype(np.str_),
        labels={
            "claim": np.array(claims, np.str_),
            "language": np.array([simulated.truth.language for simulated in cases], np.str_),
            "platform": np.array([simulated.truth.platform for simulated in cases], np.str_),
        },
    )


def _named(scores: RulingScores, suffix: str) -> dict[str, Figure]:
    return {f"simulated.{name}{suffix}": figure for name, figure in score_figures(scores).items()}
