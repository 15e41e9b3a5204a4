"""ListingMatcher: listing photos + received photos → the probability that other goods came.

Both sides are embedded by towers of their own, for a pack-shot and a phone photo of the same goods differ in kind.
A likeness is judged next to the likeness to known goods: what resembles everything matches nothing.

Knows nothing of files other than its own weights, of torch, or of how it was trained (`training.fit_listing`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.encoders import PhotoFeatures
from models.errors import NotFittedError, WeightsError
from models.goods_view import GoodsView, read_view

Array = NDArray[np.float32]

SIDES = ("listing", "received")
_FORMAT = 1
_WEIGHTS_FILE = "matcher.safetensors"
_SETTINGS_FILE = "matcher.json"


@dataclass(frozen=True)
class MatchScore:
    """What the matcher says of the listing's photos against the received ones.

    probability : calibrated chance that other goods came than those listed, in [0, 1]
    pair : index of the listing photo and of the received photo that speak most
    region : (x0, y0, x1, y1) of the best match in that received photo, original pixels; None where nothing stands out
    raw : the logit of `probability`
    """

    probability: float
    pair: tuple[int, int]
    region: tuple[int, int, int, int] | None
    raw: float


class ListingMatcher:
    """Scores whether received goods are other than the listed ones.

    encoder_digest : digest of the encoder whose features it was fitted on; None accepts any

    Learned: `weights_` (arrays of both towers, known goods, and the calibrated combination).
    """

    weights_: dict[str, Array]

    def __init__(self, *, encoder_digest: str | None = None) -> None:
        self.encoder_digest = encoder_digest

    def score(self, listing: Sequence[PhotoFeatures], received: Sequence[PhotoFeatures]) -> MatchScore:
        """Return the match of all listing photos with all received ones.

        Each received photo counts by the listing photo that it fits best; their logits are averaged.
        Raises NotFittedError before `fit_listing` or `load`, ValueError where a side has no photo.
        """
        if not listing or not received:
            raise ValueError("a match needs a listing photo and a received photo")
        shown = [read_view(features) for features in listing]
        came = [read_view(features) for features in received]
        logits = np.array([[self.pair_logit(one, other) for other in came] for one in shown])
        best = logits.argmin(axis=0)
        of_best = logits[best, np.arange(len(came))]
        raw = float(of_best.mean())
        speaks = int((of_best * math.copysign(1.0, raw)).argmax())
        return MatchScore(
            probability=1 / (1 + math.exp(-raw)), pair=(int(best[speaks]), speaks), region=None, raw=raw
        )

    def pair_logit(self, shown: GoodsView, came: GoodsView) -> float:
        """Return the calibrated mismatch logit of one listing photo and one received photo."""
        likeness = self.likenesses(shown, came)
        return float(likeness @ self.weights_["combine.slope"] + self.weights_["combine.intercept"][0])

    def likenesses(self, shown: GoodsView, came: GoodsView) -> Array:
        """Return how alike the goods are, shape (3,): plain, next to known listings, next to known photos."""
        w = self._weights()
        one, other = embed(w, shown.pooled, "listing"), embed(w, came.pooled, "received")
        plain = one @ other
        return np.array(
            [plain, _next_to(plain, w["known.listing"] @ other), _next_to(plain, w["known.received"] @ one)], np.float32
        )

    def save(self, folder: Path) -> None:
        """Write the weights (safetensors) and the settings (JSON) into `folder`."""
        weights = self._weights()
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}, folder / _WEIGHTS_FILE)
        settings = {"format": _FORMAT, "encoder_digest": self.encoder_digest}
        (folder / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved matcher. Raises WeightsError where it is missing, altered or of another format."""
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
            arrays = load_file(folder / _WEIGHTS_FILE)
            if settings["format"] != _FORMAT:
                raise WeightsError(f"{folder}: format {settings['format']}, this code reads {_FORMAT}")
            matcher = cls(encoder_digest=settings["encoder_digest"])
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"listing weights in {folder} can't be read: {error}") from error
        matcher.weights_ = {name: values.astype(np.float32) for name, values in arrays.items()}
        return matcher

    def _weights(self) -> dict[str, Array]:
        if not hasattr(self, "weights_"):
            raise NotFittedError("the listing matcher has no weights: fit or load it first")
        return self.weights_


def embed(weights: dict[str, Array], pooled: Array, side: str) -> Array:
    """Return unit vectors (..., n_codes) of pooled views (..., n_dims) seen on `side`."""
    scaled = (pooled - weights[f"{side}.mean"]) / weights["std"]
    code = scaled @ weights[f"{side}.axes"]
    return np.asarray(code / (np.linalg.norm(code, axis=-1, keepdims=True) + 1e-6), np.float32)


def _next_to(plain: float, usual: Array) -> float:
    return float((plain - usual.mean()) / (usual.std() + 1e-3))
