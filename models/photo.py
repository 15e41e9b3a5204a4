"""DamageClassifier: photo features → damage probability, where damage is, how unfamiliar the photo is.

Small dense heads read the encoder's maps at three depths, next to what is usual in the photo, and give every
cell a damage score, which the heat map shows; its mean over few and over many of the hottest cells are the
narrow and the wide score. A direction learned from twins (the same photo with and without damage) adds a view
of the whole photo. On goods like those it was trained on, an expert on these goods leads instead; experts on single
product types (`models.photo_types`) are added later, from a few labelled photos of each. Unfamiliarity is the
distance to the nearest known photos.

Knows nothing of files other than its own weights, of torch, or of how it was trained (`training.fit_damage`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import ndimage

from models.encoders import PhotoFeatures
from models.errors import NotFittedError, WeightsError
from models.photo_cells import (
    GRID,
    LEVELS,
    N_POOLED,
    Array,
    PhotoCells,
    double,
    quarter,
    read_cells,
    to_pixels,
)
from models.photo_point import most_marked
from models.photo_types import TypeExpert, nearest_distance, with_experts

CLIP = 6.0
SUMMARY_CLIP = 5.0
_FORMAT = 3
_WEIGHTS_FILE = "head.safetensors"
_SETTINGS_FILE = "head.json"
_KNOWN_QUANTILE = 0.95
_STRANGER_QUANTILE = 0.99


@dataclass(frozen=True)
class DamageScore:
    """What the classifier says of one photo.

    probability : calibrated chance that damage can be seen, in [0, 1]
    region : (x0, y0, x1, y1) around the hottest damage, original pixels; None where no cell stands out
    heat_map : shape (28, 28) over the letterboxed square, in [0, 1]; 0 on padding
    out_of_distribution : how unfamiliar the photo is, in [0, 1]; 0.5 is passed by 1 in 20 known photos
    raw : the logit of `probability`
    """

    probability: float
    region: tuple[int, int, int, int] | None
    heat_map: NDArray[np.float32]
    out_of_distribution: float
    raw: float


@dataclass(frozen=True)
class PhotoReading:
    """What the classifier reads of one photo before it decides.

    narrow, wide : mean logits of few and of many of the hottest cells
    logits : (28, 28), damage logit of each cell; seen : (28, 28), cells that are photo
    inputs : (3328,), the summary in standard units, as views and type experts read it
    code : (n_dims,), unit vector that says what the photo is like
    base : the calibrated logit without experts on single types
    """

    narrow: float
    wide: float
    logits: Array
    seen: NDArray[np.bool_]
    inputs: Array
    code: Array
    base: float

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column of the hottest cell that is photo."""
        row, column = np.unravel_index(np.where(self.seen, self.logits, -np.inf).argmax(), self.logits.shape)
        return int(row), int(column)


@dataclass(frozen=True)
class Calibration:
    """Weights of the scores in the calibrated logit.

    familiar : of (narrow, expert) on goods in training; unfamiliar : of (wide, twin) on goods left out of
    training whole; each with the intercept last
    """

    familiar: tuple[float, float, float]
    unfamiliar: tuple[float, float, float]


class DamageClassifier:
    """Scores photos for visible damage.

    encoder_digest : digest of the encoder whose features it was fitted on; None accepts any
    region_share : cells hotter than this share of the hottest belong to the region, in (0, 1)

    Learned: `heads_` (arrays of each dense head), `narrow_cells_` and `wide_cells_` (numbers of hottest
    cells), `views_` (arrays that read the photo's summary), `calibration_`, `codes_` (n_photos, n_dims) of
    known photos and `distances_` (n_photos,) of each to its neighbours, ascending; `types_`, experts on single
    product types, at first none; `pointer_`, arrays that say where a mark lies, none where no marks were boxed.
    """

    heads_: tuple[Mapping[str, Array], ...]
    narrow_cells_: int
    wide_cells_: int
    views_: Mapping[str, Array]
    calibration_: Calibration
    codes_: Array
    distances_: Array
    types_: tuple[TypeExpert, ...] = ()
    pointer_: Mapping[str, Array] = MappingProxyType({})

    def __init__(self, *, encoder_digest: str | None = None, region_share: float = 0.5) -> None:
        self.encoder_digest = encoder_digest
        self.region_share = region_share

    def score(self, features: PhotoFeatures) -> DamageScore:
        """Return the damage score of one photo. Raises NotFittedError before `fit_damage` or `load`."""
        reading = self.read(read_cells(features))
        heat = np.where(reading.seen, 1 / (1 + np.exp(-reading.logits)), 0.0).astype(np.float32)
        raw = self.decide(reading)
        return DamageScore(
            probability=1 / (1 + math.exp(-raw)),
            region=self._region(heat, reading.peak, features),
            heat_map=heat,
            out_of_distribution=self._unfamiliarity(reading.code),
            raw=raw,
        )

    def hottest(self, features: PhotoFeatures) -> tuple[int, int]:
        """Return (x, y) where damage most likely lies, original pixels: by the pointer, or of the hottest cell.

        Apart from `score`, which doesn't need it. Errors as there.
        """
        reading = self.read(read_cells(features))
        if self.pointer_:
            return to_pixels(*most_marked(features, self.pointer_, reading.logits), features)
        row, column = reading.peak
        return to_pixels(column + 0.5, row + 0.5, features)

    def read(self, cells: PhotoCells) -> PhotoReading:
        """Return what is read of one photo's cells. Raises NotFittedError before `fit_damage` or `load`."""
        if not hasattr(self, "heads_"):
            raise NotFittedError("the damage classifier has no weights: fit or load it first")
        seen = cells.content >= min(0.5, float(cells.content.max()))
        maps = [cell_logits(head, cells) for head in self.heads_]
        narrow = float(np.mean([mean_hottest(m, seen, self.narrow_cells_) for m in maps]))
        wide = float(np.mean([mean_hottest(m, seen, self.wide_cells_) for m in maps]))
        v = self.views_
        inputs = np.clip((cells.summary - v["mean"]) / v["std"], -SUMMARY_CLIP, SUMMARY_CLIP)
        placed = ((cells.summary[:N_POOLED] - v["code.mean"]) / v["code.std"]) @ v["code.axes"]
        code = np.asarray(placed / (np.linalg.norm(placed) + 1e-6), np.float32)
        base = self._combine(narrow, wide, inputs, nearest_distance(self.codes_, code))
        return PhotoReading(narrow, wide, np.mean(maps, axis=0), seen, inputs, code, base)

    def decide(self, reading: PhotoReading) -> float:
        """Return the calibrated logit of a photo, experts on its type heard."""
        return with_experts(self.types_, self.codes_, reading.code, reading.inputs, reading.base)

    def save(self, folder: Path) -> None:
        """Write the weights (safetensors) and the settings (JSON) into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"head.{i}.{name}": values for i, head in enumerate(self.heads_) for name, values in head.items()}
        arrays |= {f"view.{name}": values for name, values in self.views_.items()}
        arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in arrays.items()}
        arrays["distances"] = np.ascontiguousarray(self.distances_, np.float32)
        arrays |= {f"point.{name}": values for name, values in self.pointer_.items()}
        for place, expert in enumerate(self.types_):
            arrays |= {f"type.{place}.{name}": values for name, values in expert.arrays().items()}
        codes = {"codes": np.ascontiguousarray(self.codes_, np.float16)}
        save_file(arrays | codes, folder / _WEIGHTS_FILE)
        settings = {
            "format": _FORMAT,
            "encoder_digest": self.encoder_digest,
            "region_share": self.region_share,
            "n_heads": len(self.heads_),
            "narrow_cells": self.narrow_cells_,
            "wide_cells": self.wide_cells_,
            "familiar": self.calibration_.familiar,
            "unfamiliar": self.calibration_.unfamiliar,
            "types": [expert.product for expert in self.types_],
        }
        (folder / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved classifier. Raises WeightsError where it is missing, altered or of another format."""
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
            if settings["format"] != _FORMAT:
                raise WeightsError(f"{folder}: format {settings['format']}, this code reads {_FORMAT}")
            arrays = load_file(folder / _WEIGHTS_FILE)
            classifier = cls(encoder_digest=settings["encoder_digest"], region_share=settings["region_share"])
            classifier.narrow_cells_ = int(settings["narrow_cells"])
            classifier.wide_cells_ = int(settings["wide_cells"])
            narrow, expert, known = (float(value) for value in settings["familiar"])
            wide, twin, unknown = (float(value) for value in settings["unfamiliar"])
            classifier.calibration_ = Calibration(familiar=(narrow, expert, known), unfamiliar=(wide, twin, unknown))
            classifier.heads_ = tuple(_named(arrays, f"head.{i}.") for i in range(int(settings["n_heads"])))
            classifier.views_ = _named(arrays, "view.")
            classifier.codes_ = arrays["codes"].astype(np.float32)
            classifier.distances_ = arrays["distances"]
            classifier.pointer_ = _named(arrays, "point.")
            classifier.types_ = tuple(
                TypeExpert.of_arrays(product, _named(arrays, f"type.{place}."))
                for place, product in enumerate(settings.get("types", []))
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"damage weights in {folder} can't be read: {error}") from error
        return classifier

    def _unfamiliarity(self, code: Array) -> float:
        known = float(np.quantile(self.distances_, _KNOWN_QUANTILE))
        shares = [nearest_distance(self.codes_, code) / max(known, 1e-6)]
        shares += [nearest_distance(expert.codes, code) / expert.reach for expert in self.types_]
        return float(1 - 0.5 ** (max(min(shares), 0.0) ** 2))

    def _combine(self, narrow: float, wide: float, inputs: Array, distance: float) -> float:
        """Return the calibrated logit; the expert on known goods counts less the less familiar the photo."""
        known, stranger = np.quantile(self.distances_, (_KNOWN_QUANTILE, _STRANGER_QUANTILE))
        trust = float(np.clip((stranger - distance) / max(stranger - known, 1e-6), 0, 1))
        twin, expert = float(inputs @ self.views_["twin"]), float(inputs @ self.views_["expert"])
        familiar = float(np.dot(self.calibration_.familiar, (narrow, expert, 1.0)))
        unfamiliar = float(np.dot(self.calibration_.unfamiliar, (wide, twin, 1.0)))
        return trust * familiar + (1 - trust) * unfamiliar

    def _region(self, heat: Array, peak: tuple[int, int], features: PhotoFeatures) -> tuple[int, int, int, int] | None:
        if heat[peak] < 0.5:
            return None
        parts, _ = ndimage.label(heat >= max(0.5, self.region_share * float(heat[peak])))
        rows, columns = np.nonzero(parts == parts[peak])
        x0, y0 = to_pixels(float(columns.min()), float(rows.min()), features)
        x1, y1 = to_pixels(float(columns.max() + 1), float(rows.max() + 1), features)
        return x0, y0, x1, y1


def cell_logits(head: Mapping[str, Array], cells: PhotoCells) -> Array:
    """Return the damage logit of each cell by one dense head, shape (28, 28), padding included."""
    hidden = head["bias"][:, None, None]
    for level in LEVELS:
        values = cells.levels[level]
        side = values.shape[-1]
        x = (values - head[f"{level}.mean"][:, None, None]) / head[f"{level}.std"][:, None, None]
        x = np.clip(x, -CLIP, CLIP)
        content = cells.content if side == GRID else quarter(cells.content)
        usual = (x * content).sum((1, 2)) / content.sum()
        mixed = (head[f"{level}.weight"] @ x.reshape(x.shape[0], -1)).reshape(-1, side, side)
        mixed = mixed + (head[f"{level}.usual"] @ usual)[:, None, None]
        hidden = hidden + (mixed if side == GRID else double(mixed))
    hidden = np.maximum(hidden, 0)
    padded = np.pad(hidden, ((0, 0), (1, 1), (1, 1)))
    around = head["around.bias"][:, None, None] + sum(
        padded[:, i : i + GRID, j : j + GRID] * head["around.weight"][:, i, j, None, None]
        for i in range(3)
        for j in range(3)
    )
    mixed = (head["mix.weight"] @ around.reshape(around.shape[0], -1)).reshape(-1, GRID, GRID)
    hidden = np.maximum(mixed + head["mix.bias"][:, None, None] + hidden, 0)
    return np.asarray(np.tensordot(head["out.weight"], hidden, axes=1) + head["out.bias"], np.float32)


def mean_hottest(logits: Array, seen: NDArray[np.bool_], n_cells: int) -> float:
    """Return the mean logit of the hottest cells that are photo, at most `n_cells` of them."""
    return float(np.sort(logits[seen])[-n_cells:].mean())


def _named(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return the arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
