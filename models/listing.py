"""ListingMatcher: listing photos + received photos → the probability that other goods came.

Each side has a tower of its own, for a pack-shot and a phone photo of the same goods differ in kind.
Likeness is taken three ways: of the whole photos, of the part of the received photo that the listing finds
in it, and of the colours in that part. A logistic curve, fitted on families left out of training, makes a
probability of the three.

Knows nothing of files other than its own weights, of torch, or of how it is trained (`training.fit_listing`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import ndimage

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.errors import NotFittedError, WeightsError
from models.goods_view import GRID, GoodsView, coarsen, read_view

Array = NDArray[np.float32]
Region = tuple[int, int, int, int]

LIKENESSES = ("whole", "found", "colour")
HEAD_ARRAYS = {
    *("mean", "std", "shift", "listing_axes", "received_axes", "listing_notice", "received_notice"),
    *("colour_axes", "sharpness"),
}
ATTENTION_SCALE = 3.0
FLOOR = 1e-4
_CLIP = 6.0
_FORMAT = 2
_WEIGHTS_FILE = "matcher.safetensors"
_SETTINGS_FILE = "matcher.json"


@dataclass(frozen=True)
class MatchScore:
    """What the matcher says of the listing's photos against the received ones.

    probability : calibrated chance that other goods came than those listed, in [0, 1]
    pair : index of the listing photo and of the received photo that speak most
    region : (x0, y0, x1, y1) around the best match in that received photo, original pixels; None where the
        match is spread over most of the photo
    raw : the logit of `probability`
    """

    probability: float
    pair: tuple[int, int]
    region: Region | None
    raw: float


@dataclass(frozen=True)
class ShownGoods:
    """A listing photo, embedded. code : (n_codes,) of length 1; colour : (n_colour_codes,) of length 1."""

    code: Array
    colour: Array


@dataclass(frozen=True)
class ReceivedGoods:
    """A received photo, embedded.

    codes : (n_cells, n_codes); colours : (n_cells, n_bins)
    notice : (n_cells,), logits of how much a cell counts
    """

    codes: Array
    notice: Array
    colours: Array


class ListingMatcher:
    """Scores whether received goods are other than the listed ones.

    encoder_digest : digest of the encoder whose features it was fitted on; None accepts any
    region_share : cells looked at more than this share of the most looked at belong to the region, in (0, 1)
    most_of_photo : a region over a larger share of the photo than this is no region, in (0, 1]

    Learned: `heads_` (arrays of each head; their likenesses are averaged), `slopes_` (one a likeness) and
    `intercept_` of the calibrated logit.
    """

    heads_: tuple[Mapping[str, Array], ...]
    slopes_: tuple[float, ...]
    intercept_: float

    def __init__(
        self, *, encoder_digest: str | None = None, region_share: float = 0.35, most_of_photo: float = 0.8
    ) -> None:
        self.encoder_digest = encoder_digest
        self.region_share = region_share
        self.most_of_photo = most_of_photo

    def score(self, listing: Sequence[PhotoFeatures], received: Sequence[PhotoFeatures]) -> MatchScore:
        """Return the match of all listing photos with all received ones.

        Each received photo counts by the listing photo that it fits best; the mean of their logits decides,
        and the photo furthest on the deciding side speaks most.
        Raises NotFittedError before `fit_listing` or `load`, ValueError where a side has no photo.
        """
        likenesses, looks = self._compare(listing, received)
        logits = likenesses @ np.array(self.slopes_) + self.intercept_
        best = logits.argmin(axis=0)
        of_best = logits[best, np.arange(len(received))]
        raw = float(of_best.mean())
        speaks = int((of_best * math.copysign(1.0, raw)).argmax())
        first = int(best[speaks])
        return MatchScore(
            probability=1 / (1 + math.exp(-raw)),
            pair=(first, speaks),
            region=self._region(looks[first, speaks], received[speaks]),
            raw=raw,
        )

    def likenesses(self, listing: Sequence[PhotoFeatures], received: Sequence[PhotoFeatures]) -> NDArray[np.float64]:
        """Return the likenesses of each pair, shape (n_listing, n_received, 3), each in [-1, 1].

        Errors as in `score`.
        """
        return self._compare(listing, received)[0]

    def _compare(
        self, listing: Sequence[PhotoFeatures], received: Sequence[PhotoFeatures]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return likenesses (n_listing, n_received, 3) and where each pair looks (n_listing, n_received, n_cells)."""
        if not listing or not received:
            raise ValueError("a match needs a listing photo and a received photo")
        if not hasattr(self, "heads_"):
            raise NotFittedError("the listing matcher has no weights: fit or load it first")
        shown_views = [coarsen(read_view(features)) for features in listing]
        came_views = [read_view(features) for features in received]
        likenesses = np.zeros((len(shown_views), len(came_views), len(LIKENESSES)))
        looks = np.zeros((len(shown_views), len(came_views), GRID * GRID))
        for head in self.heads_:
            shown = [embed_listing(head, view) for view in shown_views]
            came = [embed_received(head, view) for view in came_views]
            for i, one in enumerate(shown):
                for j, other in enumerate(came):
                    look = look_for(head, one, other)
                    likenesses[i, j] += compare(head, one, other, look=look) / len(self.heads_)
                    looks[i, j] += look / len(self.heads_)
        return likenesses, looks

    def save(self, folder: Path) -> None:
        """Write the weights (safetensors) and the settings (JSON) into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{place}.{name}": np.ascontiguousarray(values, np.float32)
            for place, head in enumerate(self.heads_)
            for name, values in sorted(head.items())
        }
        save_file(arrays, folder / _WEIGHTS_FILE)
        settings = {
            "format": _FORMAT,
            "n_heads": len(self.heads_),
            "encoder_digest": self.encoder_digest,
            "region_share": self.region_share,
            "most_of_photo": self.most_of_photo,
            "slopes": list(self.slopes_),
            "intercept": self.intercept_,
        }
        (folder / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved matcher. Raises WeightsError where it is missing, altered or of another format."""
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
            if settings["format"] != _FORMAT:
                raise WeightsError(f"{folder}: format {settings['format']}, this code reads {_FORMAT}")
            matcher = cls(
                encoder_digest=settings["encoder_digest"],
                region_share=settings["region_share"],
                most_of_photo=settings["most_of_photo"],
            )
            matcher.slopes_ = tuple(float(value) for value in settings["slopes"])
            matcher.intercept_ = float(settings["intercept"])
            arrays = load_file(folder / _WEIGHTS_FILE)
            matcher.heads_ = tuple(_arrays_of(arrays, place) for place in range(settings["n_heads"]))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"listing weights in {folder} can't be read: {error}") from error
        return matcher

    def _region(self, look: NDArray[np.float64], features: PhotoFeatures) -> Region | None:
        """Return the box around the most looked-at cell and those joined to it."""
        look = look.reshape(GRID, GRID)
        parts, _ = ndimage.label(look >= self.region_share * float(look.max()))
        peak = np.unravel_index(int(look.argmax()), look.shape)
        rows, columns = np.nonzero(parts == parts[peak])
        corners = [(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)]
        (x0, y0), (x1, y1) = (_to_pixels(float(column), float(row), features) for column, row in corners)
        width, height = features.size
        if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) > self.most_of_photo * width * height:
            return None
        return x0, y0, x1, y1


def embed_listing(weights: Mapping[str, Array], view: GoodsView) -> ShownGoods:
    """Return a listing photo, coarsened, as the matcher compares it."""
    cells = _scale(weights, view.cells) - weights["shift"]
    notice = _softmax(cells @ weights["listing_notice"] * ATTENTION_SCALE + np.log(view.weight + FLOOR))
    return ShownGoods(
        code=_unit(notice @ (cells @ weights["listing_axes"])),
        colour=_colour_code(weights, notice @ view.colours),
    )


def embed_received(weights: Mapping[str, Array], view: GoodsView) -> ReceivedGoods:
    """Return a received photo as the matcher compares it."""
    cells = _scale(weights, view.cells)
    return ReceivedGoods(
        codes=cells @ weights["received_axes"],
        notice=cells @ weights["received_notice"] * ATTENTION_SCALE + np.log(view.weight + FLOOR),
        colours=view.colours,
    )


def look_for(weights: Mapping[str, Array], shown: ShownGoods, came: ReceivedGoods) -> Array:
    """Return how much each cell of the received photo looks like the listed goods, (n_cells,), sum 1."""
    near = _unit(came.codes) @ shown.code
    return _softmax(near * np.exp(weights["sharpness"][0]) + came.notice)


def compare(weights: Mapping[str, Array], shown: ShownGoods, came: ReceivedGoods, *, look: Array) -> Array:
    """Return the likenesses in the order of LIKENESSES, shape (3,), each a cosine in [-1, 1].

    look : (n_cells,), as `look_for` gives it
    """
    whole = _unit(_softmax(came.notice) @ came.codes) @ shown.code
    found = _unit(look @ came.codes) @ shown.code
    colour = _colour_code(weights, look @ came.colours) @ shown.colour
    return np.array([whole, found, colour], np.float32)


def _arrays_of(arrays: Mapping[str, Array], place: int) -> dict[str, Array]:
    prefix = f"{place}."
    head = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
    if set(head) != HEAD_ARRAYS:
        raise WeightsError(f"head {place} lacks {sorted(HEAD_ARRAYS - set(head))}")
    return head


def _scale(weights: Mapping[str, Array], cells: Array) -> Array:
    scaled = np.clip((cells - weights["mean"]) / weights["std"], -_CLIP, _CLIP)
    return np.asarray(scaled / math.sqrt(cells.shape[-1]), np.float32)


def _colour_code(weights: Mapping[str, Array], histogram: Array) -> Array:
    return _unit(np.sqrt(histogram + 1e-6) @ weights["colour_axes"])


def _unit(vectors: NDArray[Any]) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum(), np.float32)


def _to_pixels(column: float, row: float, features: PhotoFeatures) -> tuple[int, int]:
    """Return original pixels of a cell's corner, kept inside the photo."""
    step = PHOTO_SIDE / GRID
    x = (column * step - features.offset[0]) * features.scale
    y = (row * step - features.offset[1]) * features.scale
    return round(float(np.clip(x, 0, features.size[0]))), round(float(np.clip(y, 0, features.size[1])))
