"""Views of the whole photo, linear in its summary: the twins' direction and the expert on known goods.

Knows nothing of cells, files or how scores are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.photo import SUMMARY_CLIP
from models.photo_cells import N_POOLED
from models.photo_types import N_NEIGHBOURS
from training.damage_examples import AS_TAKEN, DRAWN, ExampleTable

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]
Views = Mapping[str, NDArray[np.float32]]

_CODE_DIMS = 64
_MOST_TWINS = 4000


def fit_views(table: ExampleTable, rows: Rows, *, drawn_share: float = 0.05, seed: int = 0) -> Views:
    """Return "mean", "std", "twin" and "expert", each (3328,), learned from some rows.

    drawn_share : weight of drawn photos in the expert, in [0, 1); drawn damage on goods that were only ever
        photographed intact keeps "looks like this source" from meaning "intact"
    """
    summary = table.summary[rows]
    mean, std = summary.mean(0), summary.std(0) + 1e-3
    twin = _twin_direction(table, rows, mean, std, seed=seed)
    expert = _expert(table, rows, scale(summary, mean, std), drawn_share=drawn_share)
    return {"mean": mean, "std": std, "twin": twin, "expert": expert}


def scale(summary: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]) -> Floats:
    """Return summaries in standard units, clipped as the classifier clips them."""
    return np.asarray(np.clip((summary - mean) / std, -SUMMARY_CLIP, SUMMARY_CLIP), np.float64)


def read_views(views: Views, summary: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return twin and expert scores, each (n,), of summaries (n, 3328)."""
    scaled = scale(summary, views["mean"], views["std"])
    return scaled @ views["twin"], scaled @ views["expert"]


def fit_codes(pooled: NDArray[np.float32]) -> tuple[Views, NDArray[np.float32], NDArray[np.float32]]:
    """Return the arrays that code a photo, the codes of known photos, and their distances, ascending.

    pooled : float32 (n_photos, 1280), head maps averaged over each known photo
    """
    mean, std = pooled.mean(0), pooled.std(0) + 1e-3
    scaled = (pooled - mean) / std
    n_dims = min(_CODE_DIMS, len(pooled) - 1)
    axes = np.ascontiguousarray(np.linalg.svd(scaled, full_matrices=False)[2][:n_dims].T)
    codes = scaled @ axes
    codes = codes / (np.linalg.norm(codes, axis=1, keepdims=True) + 1e-6)
    likeness = codes @ codes.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.sort(likeness, axis=1)[:, -N_NEIGHBOURS:]
    views = {"code.mean": mean, "code.std": std, "code.axes": axes}
    return views, codes.astype(np.float32), np.sort(1 - nearest.mean(1)).astype(np.float32)


def place(code_views: Views, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the unit codes, (n, n_dims), of averaged head maps, (n, 1280), as the classifier codes them."""
    codes = ((pooled - code_views["code.mean"]) / code_views["code.std"]) @ code_views["code.axes"]
    return np.asarray(codes / (np.linalg.norm(codes, axis=1, keepdims=True) + 1e-6), np.float32)


def pooled_part(summary: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the averaged head maps, (n, 1280), out of summaries (n, 3328)."""
    return summary[:, :N_POOLED]


def _twin_direction(
    table: ExampleTable, rows: Rows, mean: NDArray[np.float32], std: NDArray[np.float32], *, seed: int
) -> NDArray[np.float32]:
    """Return the direction that tells a drawn damaged photo from its intact twin, whatever the goods are."""
    inside = np.zeros(len(table.damaged), np.bool_)
    inside[rows] = True
    damaged = np.array([row for row in rows if table.twin[row] >= 0 and inside[table.twin[row]]], np.intp)
    if len(damaged) == 0:
        return np.zeros(table.summary.shape[1], np.float32)
    rng = np.random.default_rng(seed)
    damaged = np.sort(rng.permutation(damaged)[:_MOST_TWINS])
    change = scale(table.summary[damaged], mean, std) - scale(table.summary[table.twin[damaged]], mean, std)
    sign = np.where(np.arange(len(change)) % 2 == 0, 1, -1)
    model = LogisticRegression(C=0.01, fit_intercept=False, max_iter=200).fit(change * sign[:, None], sign)
    return np.asarray(model.coef_[0], np.float32)


def _expert(table: ExampleTable, rows: Rows, scaled: Floats, *, drawn_share: float) -> NDArray[np.float32]:
    """Return the mean of two logistic regressions of damage, each in units of its spread over real photos.

    One reads the whole summary of real and, weighing little, drawn photos; the other the averaged head map of photos
    as taken alone. Product types weigh as the root of their number of photos.
    """
    real = table.origin[rows] != DRAWN
    taken = table.origin[rows] == AS_TAKEN
    damaged = table.damaged[rows]
    weight = np.zeros(len(rows))
    weight[real] = (1 - drawn_share) * _even_weights(table.product[rows][real], damaged[real])
    if (~real).any():
        weight[~real] = drawn_share / (~real).sum()
    wide = LogisticRegression(C=0.05, max_iter=300)
    wide.fit(scaled, damaged, sample_weight=_halve(weight, damaged) * len(rows))
    if len(set(damaged[taken])) < 2:
        return np.asarray(wide.coef_[0], np.float32)
    direction = wide.coef_[0] / (float((scaled[taken] @ wide.coef_[0]).std()) + 1e-6)
    pooled = scaled[taken][:, :N_POOLED]
    weight = _halve(_even_weights(table.product[rows][taken], damaged[taken]), damaged[taken])
    plain = LogisticRegression(C=0.01, max_iter=300).fit(pooled, damaged[taken], sample_weight=weight * taken.sum())
    direction[:N_POOLED] += plain.coef_[0] / (float((pooled @ plain.coef_[0]).std()) + 1e-6)
    return np.asarray(direction, np.float32)


def _even_weights(product: NDArray[np.str_], damaged: NDArray[np.bool_]) -> Floats:
    """Return weights that sum to 1: each type and outcome weighs as the root of its number of photos."""
    weight = np.zeros(len(product))
    for name in np.unique(product):
        for outcome in (True, False):
            group = (product == name) & (damaged == outcome)
            weight[group] = 1 / np.sqrt(max(1, group.sum()))
    return np.asarray(weight / weight.sum(), np.float64)


def _halve(weight: Floats, damaged: NDArray[np.bool_]) -> Floats:
    """Return the weights scaled so that damaged and intact photos weigh half each."""
    halved = weight.copy()
    for outcome in (True, False):
        group = damaged == outcome
        halved[group] *= 0.5 / max(float(halved[group].sum()), 1e-12)
    return halved
