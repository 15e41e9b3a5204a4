"""DamageClassifier: photo features → damage probability, where damage is, how unfamiliar the photo is.

A small dense head reads the encoder's maps at three depths, next to what is usual in the photo, and gives every
cell a damage score. The photo's score is the mean of its hottest cells, so the heat map is what decides,
not an explanation made up afterwards. Unfamiliarity is the distance to the nearest training photos.

Knows nothing of files other than its own weights, of torch, or of how it was trained (`training.fit_damage`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import ndimage

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.errors import NotFittedError, WeightsError

Array = NDArray[np.float32]

GRID = 28
LEVELS = ("stride8", "stride16", "stride32")
_FORMAT = 1
_WEIGHTS_FILE = "head.safetensors"
_SETTINGS_FILE = "head.json"
N_NEIGHBOURS = 3
_KNOWN_QUANTILE = 0.95
_STRANGER_QUANTILE = 0.99
_CLIP = 6.0


@dataclass(frozen=True)
class DamageScore:
    """What the classifier says of one photo.

    probability : calibrated chance that damage can be seen, in [0, 1]
    region : (x0, y0, x1, y1) around the hottest damage, original pixels; None where no cell stands out
    heat_map : shape (28, 28) over the letterboxed square, in [0, 1]; 0 on padding
    out_of_distribution : how unfamiliar the photo is, in [0, 1]; 0.5 is passed by 1 in 20 known photos
    hottest : (x, y) middle of the hottest cell, original pixels
    raw : the logit of `probability`
    """

    probability: float
    region: tuple[int, int, int, int] | None
    heat_map: NDArray[np.float32]
    out_of_distribution: float
    hottest: tuple[int, int]
    raw: float


@dataclass(frozen=True)
class PhotoCells:
    """Encoder features in the form the head reads.

    levels : per level, (channels, 28, 28) or, for the deepest, (channels, 14, 14)
    content : (28, 28), share of each cell that is photo and not padding, in [0, 1]
    pooled : (1280,), the head map averaged over the photo
    """

    levels: Mapping[str, Array]
    content: Array
    pooled: Array


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
    fine = features.maps["stride8"]
    blocks = fine.reshape(fine.shape[0], GRID, 2, GRID, 2)
    levels = {
        "stride8": np.concatenate([blocks.mean((2, 4)), blocks.max((2, 4))]),
        "stride16": features.maps["stride16"],
        "stride32": features.maps["stride32"],
    }
    head = features.maps["head"]
    weight = content_share(features, cells=head.shape[-1])
    pooled = (head * weight).sum((1, 2)) / weight.sum()
    return PhotoCells(
        levels=levels, content=content_share(features, cells=GRID), pooled=pooled.astype(np.float32)
    )


class DamageClassifier:
    """Scores photos for visible damage.

    encoder_digest : digest of the encoder whose features it was fitted on; None accepts any
    region_share : cells hotter than this share of the hottest belong to the region, in (0, 1)

    Learned: `weights_` (arrays of the head), `top_cells_` (cells averaged into the local score),
    `familiar_` (slopes of local and expert score, intercept) and `unfamiliar_` (slope of the local, intercept)
    for the calibrated logit, `codes_` (n_photos, n_dims) and `distances_` (n_photos,) of known photos.
    """

    def __init__(self, *, encoder_digest: str | None = None, region_share: float = 0.5) -> None:
        self.encoder_digest = encoder_digest
        self.region_share = region_share

    def score(self, features: PhotoFeatures) -> DamageScore:
        """Return the damage score of one photo. Raises NotFittedError before `fit_damage` or `load`."""
        if not hasattr(self, "weights_"):
            raise NotFittedError("the damage classifier has no weights: fit or load it first")
        cells = read_cells(features)
        logits = self.cell_logits(cells)
        seen = cells.content >= 0.5
        heat = np.where(seen, _sigmoid(logits), 0.0).astype(np.float32)
        peak = np.unravel_index(int(np.where(seen, logits, -np.inf).argmax()), logits.shape)
        distance = self._distance(cells.pooled)
        raw = self._combine(self._pool(logits, seen), cells.pooled, distance)
        return DamageScore(
            probability=1 / (1 + math.exp(-raw)),
            region=self._region(heat, (int(peak[0]), int(peak[1])), features),
            heat_map=heat,
            out_of_distribution=self._unfamiliarity(distance),
            hottest=_to_pixels(float(peak[1]) + 0.5, float(peak[0]) + 0.5, features),
            raw=raw,
        )

    def cell_logits(self, cells: PhotoCells) -> Array:
        """Return the damage logit of each cell, shape (28, 28), padding included."""
        w = self.weights_
        hidden = w["bias"][:, None, None]
        for level in LEVELS:
            values = cells.levels[level]
            x = (values - w[f"{level}.mean"][:, None, None]) / w[f"{level}.std"][:, None, None]
            x = np.clip(x, -_CLIP, _CLIP)
            side = x.shape[-1]
            content = cells.content.reshape(side, GRID // side, side, GRID // side).mean((1, 3))
            usual = (x * content).sum((1, 2)) / content.sum()
            level_bias = (w[f"{level}.usual"] @ usual)[:, None, None]
            mixed = (w[f"{level}.weight"] @ x.reshape(x.shape[0], -1)).reshape(-1, side, side) + level_bias
            hidden = hidden + (mixed if side == GRID else _double(mixed))
        hidden = np.maximum(hidden, 0)
        padded = np.pad(hidden, ((0, 0), (1, 1), (1, 1)))
        around = w["around.bias"][:, None, None] + sum(
            padded[:, i : i + GRID, j : j + GRID] * w["around.weight"][:, i, j, None, None]
            for i in range(3)
            for j in range(3)
        )
        mixed = (w["mix.weight"] @ around.reshape(around.shape[0], -1)).reshape(-1, GRID, GRID)
        hidden = np.maximum(mixed + w["mix.bias"][:, None, None] + hidden, 0)
        return (np.tensordot(w["out.weight"], hidden, axes=1) + w["out.bias"]).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the weights (safetensors) and the settings (JSON) into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in self.weights_.items()}
        arrays["codes"] = np.ascontiguousarray(self.codes_, np.float16)
        arrays["distances"] = np.ascontiguousarray(self.distances_, np.float32)
        save_file(arrays, folder / _WEIGHTS_FILE)
        settings = {
            "format": _FORMAT,
            "encoder_digest": self.encoder_digest,
            "region_share": self.region_share,
            "top_cells": self.top_cells_,
            "familiar": self.familiar_,
            "unfamiliar": self.unfamiliar_,
        }
        (folder / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved classifier. Raises WeightsError where it is missing, altered or of another format."""
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
            arrays = load_file(folder / _WEIGHTS_FILE)
            if settings["format"] != _FORMAT:
                raise WeightsError(f"{folder}: format {settings['format']}, this code reads {_FORMAT}")
            classifier = cls(encoder_digest=settings["encoder_digest"], region_share=settings["region_share"])
            classifier.top_cells_ = int(settings["top_cells"])
            classifier.familiar_ = tuple(float(value) for value in settings["familiar"])
            classifier.unfamiliar_ = tuple(float(value) for value in settings["unfamiliar"])
            classifier.codes_ = arrays.pop("codes").astype(np.float32)
            classifier.distances_ = arrays.pop("distances")
            classifier.weights_ = arrays
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"damage weights in {folder} can't be read: {error}") from error
        return classifier

    weights_: dict[str, Array]
    top_cells_: int
    familiar_: tuple[float, ...]
    unfamiliar_: tuple[float, ...]
    codes_: Array
    distances_: Array

    def _distance(self, pooled: Array) -> float:
        """Return the mean cosine distance to the nearest known photos, in [0, 2]."""
        w = self.weights_
        code = ((pooled - w["code.mean"]) / w["code.std"]) @ w["code.axes"]
        code = code / (np.linalg.norm(code) + 1e-6)
        return float(1 - np.sort(self.codes_ @ code)[-N_NEIGHBOURS:].mean())

    def _unfamiliarity(self, distance: float) -> float:
        known = float(np.quantile(self.distances_, _KNOWN_QUANTILE))
        return float(1 - 0.5 ** ((max(distance, 0.0) / max(known, 1e-6)) ** 2))

    def _combine(self, local: float, pooled: Array, distance: float) -> float:
        """Return the calibrated logit; the expert on known goods counts less the less familiar the photo."""
        known, stranger = np.quantile(self.distances_, (_KNOWN_QUANTILE, _STRANGER_QUANTILE))
        trust = float(np.clip((stranger - distance) / max(stranger - known, 1e-6), 0, 1))
        expert = float(pooled @ self.weights_["expert.weight"] + self.weights_["expert.bias"][0])
        local_slope, expert_slope, intercept = self.familiar_
        familiar = local_slope * local + expert_slope * expert + intercept
        unfamiliar = self.unfamiliar_[0] * local + self.unfamiliar_[1]
        return trust * familiar + (1 - trust) * unfamiliar

    def _pool(self, logits: Array, seen: NDArray[np.bool_]) -> float:
        hot = np.sort(np.where(seen, logits, -1e4).ravel())[-self.top_cells_ :]
        scale, shift = self.weights_["pool"]
        return float(scale * hot.mean() + shift)

    def _region(
        self, heat: Array, peak: tuple[int, int], features: PhotoFeatures
    ) -> tuple[int, int, int, int] | None:
        if heat[peak] < 0.5:
            return None
        parts, _ = ndimage.label(heat >= max(0.5, self.region_share * float(heat[peak])))
        rows, columns = np.nonzero(parts == parts[peak])
        x0, y0 = _to_pixels(float(columns.min()), float(rows.min()), features)
        x1, y1 = _to_pixels(float(columns.max() + 1), float(rows.max() + 1), features)
        return x0, y0, x1, y1


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def _to_pixels(column: float, row: float, features: PhotoFeatures) -> tuple[int, int]:
    """Return original pixels of a point given in cells, kept inside the photo."""
    step = PHOTO_SIDE / GRID
    x = (column * step - features.offset[0]) * features.scale
    y = (row * step - features.offset[1]) * features.scale
    return round(float(np.clip(x, 0, features.size[0]))), round(float(np.clip(y, 0, features.size[1])))


def _double(values: Array) -> Array:
    """Enlarge (channels, n, n) to (channels, 2n, 2n) bilinearly, edges held."""
    for axis in (1, 2):
        n = values.shape[axis]
        before = np.take(values, np.maximum(np.arange(n) - 1, 0), axis)
        after = np.take(values, np.minimum(np.arange(n) + 1, n - 1), axis)
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis=axis + 1)
        values = pair.reshape(*values.shape[:axis], 2 * n, *values.shape[axis + 1 :])
    return values
