"""Fits the damage classifier: `fit_damage(data_dir, encoder=..., seed=...)`.

Learns from photos as taken, harmless variants and drawn pairs. Calibration and error rates come from heads that
never saw the photos they score: for unfamiliar goods, heads that never saw the whole product type.
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
from models.photo import N_NEIGHBOURS, DamageClassifier
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
from training.damage_head import HeadSettings, balance, export_head, predict_logits, train_head

ERROR_RATES_FILE = "error_rates.json"
_CODE_DIMS = 64
_MOST_LEFT_OUT = 4

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutScores:
    """Raw scores of real photos by heads that never saw them.

    damaged : bool (n,); local, expert : float (n,), raw scores; product : str (n,)
    """

    damaged: NDArray[np.bool_]
    local: Floats
    expert: Floats
    product: NDArray[np.str_]


@dataclass(frozen=True)
class FittedDamage:
    """A fitted classifier and what it scored on held-out photos.

    unseen : photos of product types left out of training; seen : photos left out of types in training
    """

    classifier: DamageClassifier
    unseen: HeldOutScores
    seen: HeldOutScores

    def error_rates(self) -> dict[str, list[float]]:
        """Return calibrated probabilities on product types left out of training, by truth, ascending."""
        slope, intercept = self.classifier.unfamiliar_
        probability = 1 / (1 + np.exp(-(slope * self.unseen.local + intercept)))
        return {
            name: sorted(round(float(value), 4) for value in probability[self.unseen.damaged == outcome])
            for name, outcome in (("damaged", True), ("intact", False))
        }

    def save(self, folder: Path) -> None:
        """Write the classifier and its error rates into `folder`."""
        self.classifier.save(folder)
        text = json.dumps(self.error_rates(), separators=(",", ":")) + "\n"
        (folder / ERROR_RATES_FILE).write_text(text, encoding="utf-8")


def fit_damage(
    data_dir: Path,
    *,
    encoder: Encoder,
    seed: int = 0,
    encoder_digest: str | None = None,
    settings: HeadSettings | None = None,
    counts: ExampleCounts | None = None,
) -> DamageClassifier:
    """Return a damage classifier fitted on the training rows of `data_dir`; see `fit_with_scores`."""
    photos = [photo for photo in read_damage_photos(data_dir) if photo.split == "train"]
    goods = read_intact_goods(data_dir)
    return fit_with_scores(
        photos,
        goods,
        encoder=encoder,
        seed=seed,
        encoder_digest=encoder_digest,
        settings=settings,
        counts=counts,
    ).classifier


def fit_with_scores(
    photos: Sequence[DamagePhoto],
    goods: Sequence[DamagePhoto],
    *,
    encoder: Encoder,
    seed: int = 0,
    encoder_digest: str | None = None,
    settings: HeadSettings | None = None,
    counts: ExampleCounts | None = None,
) -> FittedDamage:
    """Return the classifier fitted on `photos` with the held-out scores behind its calibration.

    photos : labelled photos to learn from; goods : intact goods of other kinds, may be empty
    Raises CalibrationError where fewer than two product types have both damaged and intact photos.
    """
    rng = np.random.default_rng(seed)
    drawn = drawn_examples(photos, goods, counts=counts or ExampleCounts(), rng=rng)
    examples = (example for part in (real_examples(photos), drawn) for example in part)
    table = encode_examples(examples, encoder)
    return fit_table(table, seed=seed, encoder_digest=encoder_digest, settings=settings or HeadSettings())


def fit_table(
    table: ExampleTable, *, seed: int, settings: HeadSettings, encoder_digest: str | None = None
) -> FittedDamage:
    """Return the classifier fitted on encoded examples. Errors as in `fit_with_scores`."""
    unseen, seen = cross_score(table, seed=seed, settings=settings)
    rows = np.arange(len(table.damaged))
    classifier = DamageClassifier(encoder_digest=encoder_digest)
    head = train_head(table, rows, settings=settings, seed=seed)
    weight, bias = fit_expert(table, rows)
    classifier.weights_ = export_head(head) | {"expert.weight": weight, "expert.bias": bias}
    classifier.top_cells_ = settings.top_cells
    local_slope, local_intercept = _platt(unseen.local[:, None], unseen.damaged)
    classifier.unfamiliar_ = (local_slope, local_intercept)
    both = np.stack([seen.local, seen.expert], axis=1)
    classifier.familiar_ = _platt(both, seen.damaged)
    real = rows[table.origin == AS_TAKEN]
    _fit_familiarity(classifier, table.pooled[real])
    return FittedDamage(classifier, unseen, seen)


def cross_score(
    table: ExampleTable, *, seed: int, settings: HeadSettings
) -> tuple[HeldOutScores, HeldOutScores]:
    """Return held-out scores of real photos: of types left out whole, and of photos left out of known types.

    Each round leaves out one product type and one fold of the photos of all others.
    """
    real = table.origin == AS_TAKEN
    types = [
        name
        for name in np.unique(table.product)
        if len(set(table.damaged[real & (table.product == name)])) == 2
    ]
    if len(types) < 2:
        raise CalibrationError(n_cases=len(types), n_needed=2)
    types = sorted(types, key=lambda name: crc32(name.encode()))[:_MOST_LEFT_OUT]
    fold = np.array([crc32(path.encode()) % len(types) for path in table.photo])
    unseen: list[HeldOutScores] = []
    seen: list[HeldOutScores] = []
    for number, left_out in enumerate(types):
        rows = np.flatnonzero((table.product != left_out) & (fold != number))
        head = train_head(table, rows, settings=settings, seed=seed + number)
        weight, bias = fit_expert(table, rows)
        for kept, chosen in (
            (unseen, real & (table.product == left_out)),
            (seen, real & (table.product != left_out) & (fold == number)),
        ):
            places = np.flatnonzero(chosen)
            local = predict_logits(head, table, places)
            expert = table.pooled[places] @ weight + bias[0]
            kept.append(HeldOutScores(table.damaged[places], local, expert, table.product[places]))
    return _join(unseen), _join(seen)


def fit_expert(table: ExampleTable, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weight (1280,) and bias (1,) of a logistic regression on pooled features: the view of known types."""
    pooled = table.pooled[rows]
    mean, std = pooled.mean(0), pooled.std(0) + 1e-3
    model = LogisticRegression(C=0.02, max_iter=300)
    sample_weight = balance(table, rows) * len(rows)
    model.fit((pooled - mean) / std, table.damaged[rows], sample_weight=sample_weight)
    weight = model.coef_[0] / std
    bias = model.intercept_ - weight @ mean
    return weight.astype(np.float32), bias.astype(np.float32)


def _join(parts: Sequence[HeldOutScores]) -> HeldOutScores:
    return HeldOutScores(
        np.concatenate([part.damaged for part in parts]),
        np.concatenate([part.local for part in parts]),
        np.concatenate([part.expert for part in parts]),
        np.concatenate([part.product for part in parts]),
    )


def _platt(scores: Floats, damaged: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return slopes and, last, the intercept that make probabilities out of scores, classes weighing alike."""
    model = LogisticRegression(C=1.0, class_weight="balanced").fit(scores, damaged)
    return (*(float(value) for value in model.coef_[0]), float(model.intercept_[0]))


def _fit_familiarity(classifier: DamageClassifier, pooled: NDArray[np.float32]) -> None:
    """Give the classifier the codes of known photos and how far each is from its neighbours."""
    mean, std = pooled.mean(0), pooled.std(0) + 1e-3
    scaled = (pooled - mean) / std
    n_dims = min(_CODE_DIMS, len(pooled) - 1)
    axes = np.linalg.svd(scaled, full_matrices=False)[2][:n_dims].T
    codes = scaled @ axes
    codes = codes / (np.linalg.norm(codes, axis=1, keepdims=True) + 1e-6)
    likeness = codes @ codes.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.sort(likeness, axis=1)[:, -N_NEIGHBOURS:]
    classifier.weights_ |= {"code.mean": mean, "code.std": std, "code.axes": np.ascontiguousarray(axes)}
    classifier.codes_ = codes.astype(np.float32)
    classifier.distances_ = np.sort(1 - nearest.mean(1)).astype(np.float32)
