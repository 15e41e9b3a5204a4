"""What the listing matcher reads of one photo: pooled encoder features and colours, with the backdrop left out.

A pack-shot's white backdrop and the grey of the letterbox say nothing of the goods, so both weigh nothing.
Knows nothing of weights, pairs or probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoders import PHOTO_SIDE, THUMBNAIL_SIDE, PhotoFeatures

Array = NDArray[np.float32]

LEVELS = ("stride16", "stride32", "head")
GRID = 14
COLOUR_BINS = (4, 7, 7)
_COLOUR_RANGES = ((0.0, 100.0), (-50.0, 70.0), (-40.0, 80.0))
_WHITE_LIGHTNESS = 94.0
_WHITE_CHROMA = 5.0
_LEAST_SHARE = 0.02
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
_WHITE_POINT = np.array([0.95047, 1.0, 1.08883], np.float32)


@dataclass(frozen=True)
class GoodsView:
    """One photo as the matcher sees it.

    pooled : (n_dims,), the encoder's maps averaged over the goods, then square roots of the colour histogram
    """

    pooled: Array


def read_view(features: PhotoFeatures) -> GoodsView:
    """Return what the matcher reads of a photo."""
    inside = _inside(features)
    lab = to_lab(features.thumbnail)
    goods = inside & ~_white(lab)
    if goods.mean() < _LEAST_SHARE:
        goods = inside
    weight = goods.reshape(GRID, THUMBNAIL_SIDE // GRID, GRID, THUMBNAIL_SIDE // GRID).mean((1, 3))
    weight = weight / weight.sum()
    parts = [np.tensordot(shrink(features.maps[level]), weight, axes=2) for level in LEVELS]
    parts.append(np.sqrt(colour_histogram(lab[goods])))
    return GoodsView(pooled=np.concatenate(parts).astype(np.float32))


def to_lab(pixels: NDArray[np.uint8]) -> Array:
    """Return CIE L*a*b* (D65) of sRGB pixels, shape (..., 3)."""
    share = pixels.astype(np.float32) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = linear @ _TO_XYZ.T / _WHITE_POINT
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(np.float32)


def colour_histogram(lab: Array) -> Array:
    """Return the share of each colour bin, every pixel split between its neighbouring bins; shape (n_bins,)."""
    axes = []
    for channel, (bins, (low, high)) in enumerate(zip(COLOUR_BINS, _COLOUR_RANGES, strict=True)):
        place = np.clip((lab[:, channel] - low) / (high - low) * (bins - 1), 0, bins - 1)
        axes.append(np.clip(1 - np.abs(place[:, None] - np.arange(bins)), 0, 1))
    joint = np.einsum("ni,nj,nk->ijk", *axes, optimize=True) / max(1, len(lab))
    return np.asarray(joint.ravel(), np.float32)


def shrink(maps: Array) -> Array:
    """Average (channels, n, n) down to (channels, 14, 14)."""
    channels, n = maps.shape[:2]
    step = n // GRID
    return np.asarray(maps.reshape(channels, GRID, step, GRID, step).mean((2, 4)), np.float32)


def _inside(features: PhotoFeatures) -> NDArray[np.bool_]:
    """Return which thumbnail pixels are photo and not padding."""
    step = PHOTO_SIDE / THUMBNAIL_SIDE
    places = (np.arange(THUMBNAIL_SIDE) + 0.5) * step
    spans = []
    for axis in (1, 0):
        start = features.offset[axis]
        spans.append((places > start) & (places < start + features.size[axis] / features.scale))
    inside = np.outer(spans[0], spans[1])
    return inside if inside.any() else np.ones_like(inside)


def _white(lab: Array) -> NDArray[np.bool_]:
    return np.asarray(
        (lab[..., 0] > _WHITE_LIGHTNESS) & (np.hypot(lab[..., 1], lab[..., 2]) < _WHITE_CHROMA), np.bool_
    )
