"""Measures the listing matcher on the test rows, next to a plain cosine and a colour histogram.

Each test photo meets its own listing, one listing of another family (drawn with a seed from all splits) and
every other listing of its family. All is scored as the service scores it. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.images import open_photo
from models.listing import ListingMatcher
from training.fit_listing import KINDS
from training.listing_data import ListingPhoto, read_listing_photos
from training.listing_table import Encoder
from training.metrics import Figure, auroc_of, bootstrap

_BINS = 8


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of a test photo and a listing, in order of photos.

    y_true : bool (n_pairs,), whether the goods differ
    y_prob : (n_pairs,), the matcher's mismatch probability
    cosine, histogram : (n_pairs,), 1 - likeness by plain pooled features and by a colour histogram
    product : (n_pairs,), what the received photo shows; family : (n_pairs,)
    kind : (n_pairs,), "match", "sibling" or "random"
    photo, listing : (n_pairs,), the files
    """

    y_true: NDArray[np.bool_]
    y_prob: NDArray[np.float64]
    cosine: NDArray[np.float64]
    histogram: NDArray[np.float64]
    product: NDArray[np.str_]
    family: NDArray[np.str_]
    kind: NDArray[np.str_]
    photo: NDArray[np.str_]
    listing: NDArray[np.str_]


@dataclass(frozen=True)
class Pair:
    """A received photo and the listing photo it is held against."""

    photo: ListingPhoto
    listing: Path
    kind: str


def draw_pairs(photos: Sequence[ListingPhoto], *, seed: int, split: str = "test") -> list[Pair]:
    """Return the pairs of each photo of `split`: own listing, one of another family, every sibling's."""
    rng = np.random.default_rng(seed)
    listings = sorted({(photo.product, photo.family, photo.listing) for photo in photos})
    pairs = []
    for photo in photos:
        if photo.split != split:
            continue
        pairs.append(Pair(photo, photo.listing, "match"))
        others = [path for _, family, path in listings if family != photo.family]
        if others:
            pairs.append(Pair(photo, others[rng.integers(len(others))], "random"))
        pairs += [
            Pair(photo, path, "sibling")
            for product, family, path in listings
            if family == photo.family and product != photo.product
        ]
    return pairs


def evaluate_listing(
    matcher: ListingMatcher,
    encoder: Encoder,
    data_dir: Path,
    *,
    seed: int = 0,
    split: str = "test",
    alter: Callable[[Image.Image], Image.Image] | None = None,
) -> ScoredPairs:
    """Score the pairs of `split` in `data_dir/grocery`; each photo is encoded once.

    alter : done to each received photo first, for controls
    """
    pairs = draw_pairs(read_listing_photos(data_dir), seed=seed, split=split)
    listings = {path: _encode(path, encoder) for path in sorted({pair.listing for pair in pairs})}
    shown = {path: (_pool(features), _histogram(features)) for path, features in listings.items()}
    figures = np.zeros((len(pairs), 3))
    path, features = Path(), None
    for place, pair in enumerate(pairs):
        if features is None or pair.photo.path != path:
            path = pair.photo.path
            features = _encode(path, encoder, alter)
            pooled, histogram = _pool(features), _histogram(features)
        own_pooled, own_histogram = shown[pair.listing]
        figures[place] = (
            matcher.score([listings[pair.listing]], [features]).probability,
            1 - pooled @ own_pooled,
            1 - np.minimum(histogram, own_histogram).sum(),
        )
    kind = np.array([pair.kind for pair in pairs])
    return ScoredPairs(
        y_true=kind != KINDS[0],
        y_prob=figures[:, 0],
        cosine=figures[:, 1],
        histogram=figures[:, 2],
        product=np.array([pair.photo.product for pair in pairs]),
        family=np.array([pair.photo.family for pair in pairs]),
        kind=kind,
        photo=np.array([str(pair.photo.path) for pair in pairs]),
        listing=np.array([str(pair.listing) for pair in pairs]),
    )


def mismatch_figures(pairs: ScoredPairs, score: NDArray[np.float64]) -> dict[str, Figure]:
    """Return AUROC against listings of other families and against siblings, intervals over products.

    score : (n_pairs,), higher where goods differ. Against siblings, only families with siblings count; a kind without
    pairs has no figure.
    """
    figures = {}
    for kind in ("random", "sibling"):
        others = pairs.kind == kind
        rows = np.flatnonzero(others | (~pairs.y_true & np.isin(pairs.family, pairs.family[others])))
        if len(np.unique(pairs.y_true[rows])) == 2:
            figures[f"mismatch.auroc_{kind}"] = bootstrap(
                auroc_of(pairs.y_true[rows], score[rows]), pairs.product[rows]
            )
    return figures


def _encode(path: Path, encoder: Encoder, alter: Callable[[Image.Image], Image.Image] | None = None) -> PhotoFeatures:
    upright = open_photo(path.read_bytes(), needed_side=PHOTO_SIDE)
    return encoder.encode(alter(upright.image) if alter else upright.image, scale=upright.scale)


def _pool(features: PhotoFeatures) -> NDArray[np.float64]:
    pooled = features.maps["head"].mean((1, 2)).astype(np.float64)
    return np.asarray(pooled / np.linalg.norm(pooled), np.float64)


def _histogram(features: PhotoFeatures) -> NDArray[np.float64]:
    """Return the share of each of 8 × 8 × 8 RGB colours in the photo, padding left out."""
    side = len(features.thumbnail)
    step = features.scale * PHOTO_SIDE / side
    x, y = (round(offset * side / PHOTO_SIDE) for offset in features.offset)
    width, height = (max(1, round(length / step)) for length in features.size)
    pixels = features.thumbnail[y : y + height, x : x + width].reshape(-1, 3)
    counts, _ = np.histogramdd(pixels.astype(np.float64), bins=_BINS, range=((0, 256),) * 3)
    return np.asarray(counts.ravel() / counts.sum(), np.float64)
