"""Fits the damage classifier: `fit_with_scores(data_dir, encoder=..., seed=...)`.

Learns from photos as taken, harmless variants and drawn pairs. Calibration and error rates come from heads
that never saw the photos they score: for unfamiliar goods, heads that never saw the whole product type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.errors import CalibrationError
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
from training.damage_head import HeadSettings, export_head, one_thread, predict_scores, train_head
from training.damage_views import fit_codes, fit_views, pooled_part, read_views

ERROR_RATES_FILE = "error_rates.json"
_MOST_LEFT_OUT = 4
_GROUP_WEIGHT = 100.0
_NARROW_SHARE = 0.15

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutScores:
    """Raw scores of real photos by heads and views that never saw them.

    damaged : bool (n,); narrow, wide, twin, expert : float (n,); product : str (n,)
    """

    damaged: NDArray[np.bool_]
    narrow: Floats
    wide: Floats
    twin: Floats
    expert: Floats
    product: NDArray[np.str_]

    def unfamiliar(self) -> Floats:
        """Return the scores that count on unfamiliar goods, (n, 2)."""
        return np.stack([self.wide, self.twin], axis=1)

    def familiar(self) -> Floats:
        """Return the scores that count on familiar goods, (n, 2)."""
        return np.stack([self.narrow, self.expert], axis=1)


@dataclass(frozen=True)
class FittedDamage:
    """A fitted classifier and what was scored on held-out photos.

    unseen : photos of product types left out of training; seen : photos left out of types in training
    """

    classifier: DamageClassifier
    unseen: HeldOutScores
    seen: HeldOutScores

    def error_rates(self) -> dict[str, list[float]]:
        """Return calibrated probabilities on product types left out of training, by truth, ascending."""
        weights = np.array(self.classifier.calibration_.unfamiliar)
        logit = self.unseen.unfamiliar() @ weights[:-1] + weights[-1]
        probability = 1 / (1 + np.exp(-logit))
        return {
            name: sorted(round(float(value), 4) for value in probability[self.unseen.damaged == outcome])
            for name, outcome in (("damaged", True), ("intact", False))
        }

    def save(self, folder: Path) -> None:
        """Write the classifier and its error rates into `folder`."""
        self.classifier.save(folder)
        text = json.dumps(self.error_rates(), separators=(",", ":")) + "\n"
        (folder / ERROR_RATES_FILE).write_text(text, encoding="utf-8")


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
    return fit_table(table, seed=seed, encoder_digest=encoder_digest, settings=settings)


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
    unseen, seen = cross_score(table, seed=seed, settings=settings)
    rows = np.arange(len(table.damaged))
    classifier = DamageClassifier(encoder_digest=encoder_digest)
    heads = [train_head(table, rows, settings=settings, seed=seed + i) for i in range(settings.n_heads)]
    classifier.heads_ = tuple(export_head(head) for head in heads)
    classifier.narrow_cells_, classifier.wide_cells_ = settings.top_cells, settings.wide_cells
    code_views, classifier.codes_, classifier.distances_ = fit_codes(
        pooled_part(table.summary[table.origin == AS_TAKEN])
    )
    classifier.views_ = {**fit_views(table, rows, seed=seed), **code_views}
    classifier.calibration_ = calibrate(unseen, seen)
    return FittedDamage(classifier, unseen, seen)


def cross_score(table: ExampleTable, *, seed: int, settings: HeadSettings) -> tuple[HeldOutScores, HeldOutScores]:
    """Return held-out scores of real photos: of types left out whole, and of photos left out of known types.

    Each round leaves out one product type, and one fold of the photos of all others.
    """
    real = table.origin == AS_TAKEN
    products = np.unique(table.product[real])
    types = [name for name in products if len(set(table.damaged[real & (table.product == name)])) == 2]
    if len(types) < 2:
        raise CalibrationError(n_cases=len(types), n_needed=2)
    types = sorted(types, key=lambda name: crc32(str(name).encode()))[:_MOST_LEFT_OUT]
    fold = np.array([crc32(Path(path).name.encode()) % len(types) for path in table.photo])
    unseen: list[HeldOutScores] = []
    seen: list[HeldOutScores] = []
    for number, left_out in enumerate(types):
        rows = np.flatnonzero((table.product != left_out) & (fold != number))
        head = train_head(table, rows, settings=settings, seed=seed + number)
        views = fit_views(table, rows, seed=seed)
        of_type = table.product == left_out
        for kept, chosen in ((unseen, real & of_type), (seen, real & ~of_type & (fold == number))):
            places = np.flatnonzero(chosen)
            narrow, wide = predict_scores(head, table, places, settings=settings)
            twin, expert = read_views(views, table.summary[places])
            kept.append(HeldOutScores(table.damaged[places], narrow, wide, twin, expert, table.product[places]))
    return _join(unseen), _join(seen)


def calibrate(unseen: HeldOutScores, seen: HeldOutScores) -> Calibration:
    """Return the weights of the scores in the calibrated logit.

    The shares of the scores are fixed, in standard units: with so few types, learned ones would fit these types.
    Wide and twin score count alike on unfamiliar goods; on familiar ones the expert leads the narrow score.
    Slope and intercept are learned; every class weighs alike, on unfamiliar goods every type too.
    """
    weight = np.zeros(len(unseen.damaged))
    for product in np.unique(unseen.product):
        for outcome in (True, False):
            group = (unseen.product == product) & (unseen.damaged == outcome)
            weight[group] = _GROUP_WEIGHT / max(1, group.sum())
    unfamiliar = _platt(unseen.unfamiliar(), unseen.damaged, shares=(1.0, 1.0), weight=weight)
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


def _join(parts: Sequence[HeldOutScores]) -> HeldOutScores:
    return HeldOutScores(
        damaged=np.concatenate([part.damaged for part in parts]),
        narrow=np.concatenate([part.narrow for part in parts]),
        wide=np.concatenate([part.wide for part in parts]),
        twin=np.concatenate([part.twin for part in parts]),
        expert=np.concatenate([part.expert for part in parts]),
        product=np.concatenate([part.product for part in parts]),
    )
