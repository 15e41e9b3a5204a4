"""What the listing matcher reads of one photo: cells of encoder features and colours, the backdrop left out.

A pack-shot's white backdrop and the grey of the letterbox say nothing of the goods, so both weigh nothing.
Knows nothing of weights, pairs or probabilities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoders import PHOTO_SIDE, THUMBNAIL_SIDE, PhotoFeatures

Array = NDArray[np.float32]

LEVELS = ("stride16", "stride32")
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
    """One photo as the matcher sees it, as cells of a square grid, row by row.

    cells : (n_cells, n_channels), the encoder's maps at two depths, then mean and spread of L*, a*, b*
    weight : (n_cells,), share of the cell that may be goods, in [0, 1]
    colours : (n_cells, n_bins), share of each colour among the goods; rows sum to 1, or 0 where weight is 0
    """

    cells: Array
    weight: Array
    colours: Array


def read_view(features: PhotoFeatures) -> GoodsView:
    """Return what the matcher reads of a photo, on a grid of 14 × 14 cells."""
    lab = to_lab(features.thumbnail)
    goods = _goods(features, lab)
    pixels, mask = _by_cell(lab), _by_cell(goods[..., None].astype(np.float32))[..., 0]
    share = (mask / np.maximum(mask.sum(1, keepdims=True), 1))[:, None]
    mean = share @ pixels
    spread = np.sqrt(share @ np.square(pixels - mean))
    maps = [shrink(features.maps[level]).reshape(-1, GRID * GRID).T for level in LEVELS]
    return GoodsView(
        cells=np.concatenate([*maps, mean[:, 0], spread[:, 0]], axis=1).astype(np.float32),
        weight=mask.mean(1).astype(np.float32),
        colours=colour_histograms(pixels, mask),
    )


def coarsen(view: GoodsView) -> GoodsView:
    """Average cells two by two, each by its weight: goods fill a listing photo, but a part of others."""
    side = math.isqrt(len(view.weight)) // 2
    weight = _two_by_two(view.weight[:, None], side)
    total = np.maximum(weight.sum(1), 1e-3)
    return GoodsView(
        cells=((_two_by_two(view.cells, side) * weight).sum(1) / total).astype(np.float32),
        weight=weight.mean((1, 2)).astype(np.float32),
        colours=((_two_by_two(view.colours, side) * weight).sum(1) / total).astype(np.float32),
    )


def to_lab(pixels: NDArray[np.uint8]) -> Array:
    """Return CIE L*a*b* (D65) of sRGB pixels, shape (..., 3)."""
    share = pixels.astype(np.float32) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = linear @ _TO_XYZ.T / _WHITE_POINT
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(np.float32)


def colour_histograms(lab: Array, mask: Array) -> Array:
    """Return colour shares of groups of pixels, every pixel split between its neighbouring bins.

    lab : (n_groups, n_pixels, 3); mask : (n_groups, n_pixels), in {0, 1}. Returns (n_groups, n_bins).
    """
    axes = []
    for channel, (bins, (low, high)) in enumerate(zip(COLOUR_BINS, _COLOUR_RANGES, strict=True)):
        place = np.clip((lab[..., channel] - low) / (high - low) * (bins - 1), 0, bins - 1)
        axes.append(np.maximum(1 - np.abs(place[:, None] - np.arange(bins, dtype=np.float32)[:, None]), 0))
    light, tones = axes[0] * mask[:, None], axes[1]
    light_tones = (light[:, :, None] * tones[:, None]).reshape(len(lab), -1, lab.shape[1])
    joint = light_tones @ axes[2].transpose(0, 2, 1)
    shares = joint.reshape(len(lab), -1) / np.maximum(mask.sum(1), 1)[:, None]
    return np.asarray(shares, np.float32)


def shrink(maps: Array) -> Array:
    """Average (channels, n, n) down to (channels, 14, 14)."""
    step = maps.shape[-1] // GRID
    rows = np.add.reduce([maps[:, place::step] for place in range(step)])
    return np.asarray(np.add.reduce([rows[..., place::step] for place in range(step)]) / step**2, np.float32)


def _by_cell(pixels: Array) -> Array:
    """Return (n_cells, pixels a cell, channels) of a thumbnail-sized (height, width, channels)."""
    step = THUMBNAIL_SIDE // GRID
    grouped = pixels.reshape(GRID, step, GRID, step, -1).transpose(0, 2, 1, 3, 4)
    return grouped.reshape(GRID * GRID, step * step, -1)


def _two_by_two(values: Array, side: int) -> Array:
    grouped = values.reshape(side, 2, side, 2, -1).transpose(0, 2, 1, 3, 4)
    return grouped.reshape(side * side, 4, -1)


def _goods(features: PhotoFeatures, lab: Array) -> NDArray[np.bool_]:
    """Return which thumbnail pixels may be goods: neither padding nor white, unless there is nothing else."""
    places = (np.arange(THUMBNAIL_SIDE) + 0.5) * (PHOTO_SIDE / THUMBNAIL_SIDE)
    spans = []
    for axis in (1, 0):
        start = features.offset[axis]
        spans.append((places > start) & (places < start + features.size[axis] / features.scale))
    inside = np.outer(spans[0], spans[1])
    if not inside.any():
        inside = np.ones_like(inside)
    white = (lab[..., 0] > _WHITE_LIGHTNESS) & (np.hypot(lab[..., 1], lab[..., 2]) < _WHITE_CHROMA)
    goods = inside & ~white
    return goods if goods.mean() >= _LEAST_SHARE else inside
