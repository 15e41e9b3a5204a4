"""Scores of photos by heads and views that never saw them, and what a few labelled photos add to those.

One round a product type: it is left out whole, and so is a fold of the photos of all others. What the classifier is
worth on goods that it doesn't know can be told only here. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.errors import CalibrationError
from training.damage_examples import AS_TAKEN, ExampleTable
from training.damage_head import HeadSettings, predict_scores, train_head
from training.damage_types import TypePhotos, learning_curve
from training.damage_views import fit_codes, fit_views, place, pooled_part, read_views, scale
from training.metrics import auroc

_MOST_LEFT_OUT = 4
TWIN_SHARE = 0.25

Floats = NDArray[np.float64]
Curve = Mapping[int, Sequence[float]]


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

    def unfamiliar_score(self) -> Floats:
        """Return the raw score on unfamiliar goods, (n,): wide and twin score in standard units."""
        scores = self.unfamiliar()
        return np.asarray((scores / (scores.std(0) + 1e-6)) @ np.array([1.0, TWIN_SHARE]), np.float64)

    def familiar(self) -> Floats:
        """Return the scores that count on familiar goods, (n, 2)."""
        return np.stack([self.narrow, self.expert], axis=1)


@dataclass(frozen=True)
class LeftOut:
    """What was scored on held-out photos.

    unseen : photos of product types left out of training; seen : photos left out of types in training
    curves : by type left out, AUROC on its other photos after some of its photos were labelled, one a draw
    """

    unseen: HeldOutScores
    seen: HeldOutScores
    curves: Mapping[str, Curve]

    def by_type(self) -> dict[str, float]:
        """Return the AUROC on each product type left out, by the scores that count on unfamiliar goods."""
        found = {}
        score = self.unseen.unfamiliar_score()
        for product in np.unique(self.unseen.product):
            rows = self.unseen.product == product
            found[str(product)] = auroc(self.unseen.damaged[rows], score[rows])
        return found

    def figures(self) -> dict[str, dict[str, object]]:
        """Return AUROC by type left out, with the number of photos, and after labels, as JSON holds them."""
        return {
            product: {
                "auroc": round(value, 4),
                "n": int((self.unseen.product == product).sum()),
                "after_labels": {
                    str(size): [round(one, 4) for one in values] for size, values in self.curves[product].items()
                },
            }
            for product, value in self.by_type().items()
        }


def score_left_out(table: ExampleTable, *, seed: int, settings: HeadSettings) -> LeftOut:
    """Return held-out scores of real photos: of types left out whole, and of photos left out of known types.

    Raises CalibrationError where fewer than two product types have both damaged and intact photos.
    """
    real = table.origin == AS_TAKEN
    products = np.unique(table.product[real])
    types = [name for name in products if len(set(table.damaged[real & (table.product == name)])) == 2]
    if len(types) < 2:
        raise CalibrationError(n_cases=len(types), n_needed=2)
    types = sorted(types, key=lambda name: crc32(str(name).encode()))[:_MOST_LEFT_OUT]
    fold = np.array([crc32(path.rsplit("/", 1)[-1].encode()) % len(types) for path in table.photo])
    unseen: list[HeldOutScores] = []
    seen: list[HeldOutScores] = []
    curves = {}
    for number, left_out in enumerate(types):
        rows = np.flatnonzero((table.product != left_out) & (fold != number))
        heads = [
            train_head(table, rows, settings=settings, seed=seed + number + len(types) * i)
            for i in range(settings.n_heads)
        ]
        views = fit_views(table, rows, seed=seed)
        of_type = table.product == left_out
        for kept, chosen in ((unseen, real & of_type), (seen, real & ~of_type & (fold == number))):
            places = np.flatnonzero(chosen)
            scores = [predict_scores(head, table, places, settings=settings) for head in heads]
            narrow, wide = (np.mean([pair[i] for pair in scores], axis=0) for i in (0, 1))
            twin, expert = read_views(views, table.summary[places])
            kept.append(HeldOutScores(table.damaged[places], narrow, wide, twin, expert, table.product[places]))
        code_views, known, _ = fit_codes(pooled_part(table.summary[rows[real[rows]]]))
        summary = table.summary[real & of_type]
        photos = TypePhotos(
            inputs=scale(summary, views["mean"], views["std"]).astype(np.float32),
            base=unseen[-1].unfamiliar_score(),
            codes=place(code_views, pooled_part(summary)),
            damaged=unseen[-1].damaged,
        )
        curves[str(left_out)] = learning_curve(photos, known, seed=seed)
    return LeftOut(_join(unseen), _join(seen), curves)


def _join(parts: Sequence[HeldOutScores]) -> HeldOutScores:
    return HeldOutScores(
        damaged=np.concatenate([part.damaged for part in parts]),
        narrow=np.concatenate([part.narrow for part in parts]),
        wide=np.concatenate([part.wide for part in parts]),
        twin=np.concatenate([part.twin for part in parts]),
        expert=np.concatenate([part.expert for part in parts]),
        product=np.concatenate([part.product for part in parts]),
    )
