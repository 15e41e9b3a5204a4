"""Refitting of the ruling model on confirmed outcomes, beside simulated cases.

Outcomes given with the suggestion on screen count half: they may echo the machine. The result is a new model folder;
nothing is promoted here, and the confidence still says that it was checked on simulated cases, for a handful of
outcomes can't calibrate it. Knows nothing of the service.
"""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.errors import InputError
from models.registry import write_manifest
from models.ruling import RULINGS, RulingClassifier, features
from models.suggester import Suggester
from training.fit_rulings import N_CALIBRATION, N_TRAIN, ruling_table
from training.photo_errors import PhotoErrors
from training.simulate import simulate
from training.snapshot import DecidedCase
from training.statement_pool import StatementPool

OUTCOME_WEIGHT = 20.0
SHOWN_SHARE = 0.5


def refit_rulings(
    suggester: Suggester,
    decided: Sequence[DecidedCase],
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    seed: int,
    n_train: int = N_TRAIN,
    n_calibration: int = N_CALIBRATION,
) -> RulingClassifier:
    """Return a ruling classifier learned from simulated cases and the decided ones, which weigh as 20 simulated each.

    A blind outcome has its full weight, one given with the suggestion on screen half.
    Raises InputError when there is no outcome to learn from.
    """
    if not decided:
        raise InputError("holds no outcome to learn from", field="outcomes.jsonl")
    simulated = simulate(n_train + n_calibration, pool=pool, photo_errors=photo_errors, seed=seed)
    X, y_true = ruling_table(simulated)
    evidence = suggester.scorer.score([one.file for one in decided])
    rows = []
    for one, piece in zip(decided, evidence, strict=True):
        moment = one.outcome.decided_at or one.file.case.opened_at
        ruled = suggester.rule(piece, ruled_on=moment.date())
        rows.append(features(piece.case, ruled.findings, ruled.orders))
    learned_X = np.vstack([X[:n_train], np.array(rows)])
    learned_y = np.concatenate([y_true[:n_train], [RULINGS.index(one.outcome.ruling) for one in decided]])
    shown = np.array([one.outcome.suggestion_shown is not False for one in decided])
    weight = np.concatenate([np.ones(n_train), OUTCOME_WEIGHT * np.where(shown, SHOWN_SHARE, 1.0)])
    classifier = RulingClassifier(C=suggester.ruling.C, alpha=suggester.ruling.alpha, seed=seed)
    return classifier.fit(
        learned_X,
        learned_y.astype(np.intp),
        calibration=(X[n_train:], y_true[n_train:]),
        sample_weight=weight,
    )


def write_challenger(classifier: RulingClassifier, *, champion_dir: Path, out: Path) -> str:
    """Write a whole model folder: the champion's evidence models with this ruling model. Returns its version.

    Raises InputError when `out` is already there.
    """
    if out.exists():
        raise InputError("is already there", field=str(out))
    shutil.copytree(champion_dir, out)
    classifier.save(out / "ruling")
    return write_manifest(out, calibrated_on="simulated", trained_at=datetime.now(UTC))
