"""Fits the damage classifier: `fit_with_scores(data_dir, encoder=..., seed=...)`.

Learns from photos as taken, harmless variants and drawn pairs. Calibration and error rates come from heads
that never saw the photos they score: for unfamiliar goods, heads that never saw the whole product type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.photo import Calibration, DamageClassifier
from training.damage_data import DamagePhoto, read_damage_photos, read_intact_goods
from training.damage_examples import (
    AS_TAKEN,
    Encoder,
    ExampleCounts,
    ExampleTable,
    drawn_examples,
    encode_examples,
    real_examples,
)
from training.damage_head import HeadSettings, export_head, one_thread, train_head
from training.damage_left_out import TWIN_SHARE, HeldOutScores, LeftOut, score_left_out
from training.damage_pointer import fit_pointer
from training.damage_views import fit_codes, fit_views, pooled_part
from training.left_out import LEFT_OUT_FILE

ERROR_RATES_FILE = "error_rates.json"
_GROUP_WEIGHT = 100.0
_NARROW_SHARE = 0.15

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedDamage:
    """A fitted classifier and what its like scored on held-out photos."""

    classifier: DamageClassifier
    left_out: LeftOut

    def error_rates(self) -> dict[str, list[float]]:
        """Return calibrated probabilities on product types left out of training, by truth, ascending."""
        weights = np.array(self.classifier.calibration_.unfamiliar)
        logit = self.left_out.unseen.unfamiliar() @ weights[:-1] + weights[-1]
        probability = 1 / (1 + np.exp(-logit))
        return {
            name: sorted(round(float(value), 4) for value in probability[self.left_out.unseen.damaged == outcome])
            for name, outcome in (("damaged", True), ("intact", False))
        }

    def save(self, folder: Path) -> None:
        """Write the classifier, its error rates and the figures on types left out into `folder`."""
        self.classifier.save(folder)
        for name, held in ((ERROR_RATES_FILE, self.error_rates()), (LEFT_OUT_FILE, self.left_out.figures())):
            (folder / name).write_text(json.dumps(held, separators=(",", ":")) + "\n", encoding="utf-8")


def fit_with_scores(
    data_dir: Path,
    *,
    encoder: Encoder,
    seed: int = 0,
    encoder_digest: str | None = None,
    settings: HeadSettings | None = None,
    counts: ExampleCounts | None = None,
) -> FittedDamage:
    """Return the classifier fitted on the training rows of `data_dir`, with the held-out scores behind it."""
    photos = [photo for photo in read_damage_photos(data_dir) if photo.split == "train"]
    table = encode_training(photos, read_intact_goods(data_dir), encoder=encoder, seed=seed, counts=counts)
    fitted = fit_table(table, seed=seed, encoder_digest=encoder_digest, settings=settings)
    with one_thread():
        fitted.classifier.pointer_ = fit_pointer(photos, encoder=encoder, seed=seed)
    return fitted


def encode_training(
    photos: Sequence[DamagePhoto],
    goods: Sequence[DamagePhoto],
    *,
    encoder: Encoder,
    seed: int = 0,
    counts: ExampleCounts | None = None,
) -> ExampleTable:
    """Return the encoded photos as taken, then their variants and drawn pairs.

    photos : labelled photos to learn from; goods : intact goods of other kinds, may be empty
    """
    drawn = drawn_examples(photos, goods, counts=counts or ExampleCounts(), rng=np.random.default_rng(seed))
    return encode_examples((example for part in (real_examples(photos), drawn) for example in part), encoder)


def fit_table(
    table: ExampleTable,
    *,
    seed: int = 0,
    settings: HeadSettings | None = None,
    encoder_digest: str | None = None,
) -> FittedDamage:
    """Return the classifier fitted on encoded examples, on one thread.

    Raises CalibrationError where fewer than two product types have both damaged and intact photos.
    """
    with one_thread():
        return _fit_table(table, seed=seed, settings=settings or HeadSettings(), encoder_digest=encoder_digest)


def _fit_table(table: ExampleTable, *, seed: int, settings: HeadSettings, encoder_digest: str | None) -> FittedDamage:
    left_out = score_left_out(table, seed=seed, settings=settings)
    rows = np.arange(len(table.damaged))
    classifier = DamageClassifier(encoder_digest=encoder_digest)
    heads = [train_head(table, rows, settings=settings, seed=seed + i) for i in range(settings.n_heads)]
    classifier.heads_ = tuple(export_head(head) for head in heads)
    classifier.narrow_cells_, classifier.wide_cells_ = settings.top_cells, settings.wide_cells
    code_views, classifier.codes_, classifier.distances_ = fit_codes(
        pooled_part(table.summary[table.origin == AS_TAKEN])
    )
    classifier.views_ = {**fit_views(table, rows, seed=seed), **code_views}
    classifier.calibration_ = calibrate(left_out.unseen, left_out.seen)
    return FittedDamage(classifier, left_out)


def calibrate(unseen: HeldOutScores, seen: HeldOutScores) -> Calibration:
    """Return the weights of the scores in the calibrated logit.

    The shares of the scores are fixed, in standard units: with so few types, learned ones would fit these types.
    On unfamiliar goods the wide score leads the twin score; on familiar ones the expert leads the narrow score.
    Slope and intercept are learned; every class weighs alike, on unfamiliar goods every type too.
    """
    weight = np.zeros(len(unseen.damaged))
    for product in np.unique(unseen.product):
        for outcome in (True, False):
            group = (unseen.product == product) & (unseen.damaged == outcome)
            weight[group] = _GROUP_WEIGHT / max(1, group.sum())
    unfamiliar = _platt(unseen.unfamiliar(), unseen.damaged, shares=(1.0, TWIN_SHARE), weight=weight)
    weight = np.where(seen.damaged, 0.5 / max(1, seen.damaged.sum()), 0.5 / max(1, (~seen.damaged).sum()))
    familiar = _platt(seen.familiar(), seen.damaged, shares=(_NARROW_SHARE, 1.0), weight=weight * len(weight))
    return Calibration(familiar=familiar, unfamiliar=unfamiliar)


def _platt(
    scores: Floats, damaged: NDArray[np.bool_], *, shares: tuple[float, float], weight: Floats
) -> tuple[float, float, float]:
    """Return the weights of two scores, (n, 2), and the intercept that make a calibrated logit of them."""
    scale = np.array(shares) / (scores.std(0) + 1e-6)
    model = LogisticRegression(C=1.0).fit((scores @ scale)[:, None], damaged, sample_weight=weight)
    slope = float(model.coef_[0, 0])
    return slope * float(scale[0]), slope * float(scale[1]), float(model.intercept_[0])
