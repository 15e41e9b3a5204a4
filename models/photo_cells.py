"""What the damage classifier reads of a photo: cells at three depths, what is no padding, and a summary.

Knows nothing of damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoders import PHOTO_SIDE, PhotoFeatures

Array = NDArray[np.float32]

GRID = 28
N_POOLED = 1280
N_SUMMARY = N_POOLED + 4 * (80 + 112 + 320)
LEVELS = ("stride8", "stride16", "stride32")


@dataclass(frozen=True)
class PhotoCells:
    """Encoder features in the form the head reads.

    levels : per level, (channels, 28, 28) or, for the deepest, (channels, 14, 14)
    content : (28, 28), share of each cell that is photo and not padding, in [0, 1]
    summary : (3328,), the head map averaged over the photo (1280), then mean, spread, highest and lowest
        cells of each channel
    """

    levels: Mapping[str, Array]
    content: Array
    summary: Array


def content_share(features: PhotoFeatures, *, cells: int) -> Array:
    """Return the share of each cell that is photo and not padding, shape (cells, cells), in [0, 1]."""
    spans = []
    for axis in (1, 0):
        start = features.offset[axis]
        length = max(1, round(features.size[axis] / features.scale))
        edges = np.arange(cells + 1) * (PHOTO_SIDE / cells)
        inside = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
        spans.append(np.clip(inside / (PHOTO_SIDE / cells), 0, 1))
    return np.outer(spans[0], spans[1]).astype(np.float32)


def read_cells(features: PhotoFeatures) -> PhotoCells:
    """Return what the head reads of one photo: the finest level as mean and maximum of 2×2 cells."""
    levels = {
        "stride8": _mean_and_highest(features.maps["stride8"]),
        "stride16": features.maps["stride16"],
        "stride32": features.maps["stride32"],
    }
    content = content_share(features, cells=GRID)
    head = features.maps["head"]
    weight = content_share(features, cells=head.shape[-1])
    fine = np.concatenate([levels["stride8"], levels["stride16"]])
    summary = [
        np.tensordot(head, weight, axes=2) / weight.sum(),
        *_spread(fine[:, _inside(content)], n_cells=8),
        *_spread(levels["stride32"][:, _inside(quarter(content))], n_cells=3),
    ]
    return PhotoCells(levels=levels, content=content, summary=np.concatenate(summary).astype(np.float32))


def _mean_and_highest(finest: Array) -> Array:
    """Return mean and maximum of 2×2 cells of (channels, n, n), shape (2 × channels, n / 2, n / 2)."""
    above, below = finest[:, ::2], finest[:, 1::2]
    added, higher = above + below, np.maximum(above, below)
    return np.concatenate([(added[..., ::2] + added[..., 1::2]) / 4, np.maximum(higher[..., ::2], higher[..., 1::2])])


def quarter(content: Array) -> Array:
    """Return the mean of 2×2 cells of a square map."""
    side = content.shape[0] // 2
    return np.asarray(content.reshape(side, 2, side, 2).mean((1, 3)), np.float32)


def double(values: Array) -> Array:
    """Enlarge (channels, n, n) to (channels, 2n, 2n) bilinearly, edges held."""
    for axis in (1, 2):
        n = values.shape[axis]
        before = np.take(values, np.maximum(np.arange(n) - 1, 0), axis)
        after = np.take(values, np.minimum(np.arange(n) + 1, n - 1), axis)
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis=axis + 1)
        values = pair.reshape(*values.shape[:axis], 2 * n, *values.shape[axis + 1 :])
    return values


def to_pixels(column: float, row: float, features: PhotoFeatures) -> tuple[int, int]:
    """Return original pixels (x, y) of a point given in cells, kept inside the photo."""
    step = PHOTO_SIDE / GRID
    x = (column * step - features.offset[0]) * features.scale
    y = (row * step - features.offset[1]) * features.scale
    return round(float(np.clip(x, 0, features.size[0]))), round(float(np.clip(y, 0, features.size[1])))


def _inside(content: Array) -> NDArray[np.bool_]:
    """Return which cells are mostly photo, at least those that are most so (a very thin photo fills none)."""
    return content >= min(0.5, float(content.max()))


def _spread(values: Array, *, n_cells: int) -> list[Array]:
    """Return mean, spread, and the mean of the highest and of the lowest cells of each channel.

    values : shape (channels, cells)
    """
    n_cells = min(n_cells, values.shape[1])
    ordered = np.sort(values, axis=1)
    return [values.mean(1), values.std(1), ordered[:, -n_cells:].mean(1), ordered[:, :n_cells].mean(1)]
