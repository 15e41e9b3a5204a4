"""The goods to learn matching from: encoded photos, recoloured copies, and how families are left out.

Knows nothing of heads or calibration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.goods_view import GoodsView, read_view
from models.images import open_photo
from training.listing_data import ListingPhoto
from training.listing_head import Goods, ViewTable, stack_views
from training.recolouring import turn_hues

Places = NDArray[np.intp]


class Encoder(Protocol):
    """What turns a photo into feature maps."""

    @property
    def digest(self) -> str:
        """Identifies the encoder."""

    def encode(self, image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        """Return the feature maps of an RGB photo."""


@dataclass(frozen=True)
class ListingTable:
    """Encoded photos of the goods to learn from.

    views : listing photos first, in the order of `products`, then received photos
    products, families : by goods, shape (n_goods,)
    recoloured : bool (n_goods,), goods that never were: learned from, never scored
    goods : what each received photo shows, shape (n_photos,)
    """

    views: ViewTable
    products: NDArray[np.str_]
    families: NDArray[np.str_]
    recoloured: NDArray[np.bool_]
    goods: Places

    @property
    def listing(self) -> Places:
        """Rows of the listing photos, shape (n_goods,)."""
        return np.arange(len(self.products))

    @property
    def received(self) -> Places:
        """Rows of the received photos, shape (n_photos,)."""
        return np.arange(len(self.goods)) + len(self.products)


@dataclass(frozen=True)
class Recolouring:
    """Which goods that never were to learn from.

    copies : recoloured copies of each goods; photos_each : received photos of each, chosen at random
    angles : least and most turn of the hues, radians
    """

    copies: int = 2
    photos_each: int = 10
    angles: tuple[float, float] = (0.25 * math.pi, 1.75 * math.pi)


def encode_photos(
    photos: Sequence[ListingPhoto], *, encoder: Encoder, recolouring: Recolouring | None = None, seed: int = 0
) -> ListingTable:
    """Return the goods of `photos`, every photo encoded once, and then their recoloured copies."""
    by_product = {photo.product: photo for photo in photos}
    rng = np.random.default_rng(seed)
    rounds: list[tuple[str, float, Sequence[ListingPhoto]]] = []
    for product in sorted(by_product):
        rounds.append((product, 0.0, [photo for photo in photos if photo.product == product]))
    recolouring = recolouring or Recolouring(copies=0)
    for copy in range(recolouring.copies):
        for product, _, own in rounds[: len(by_product)]:
            few = rng.permutation(len(own))[: recolouring.photos_each]
            angle = rng.uniform(*recolouring.angles)
            rounds.append((f"{product} recoloured {copy}", angle, [own[place] for place in few]))
    shown = [view_file(own[0].listing, encoder=encoder, angle=angle) for _, angle, own in rounds]
    came = [view_file(photo.path, encoder=encoder, angle=angle) for _, angle, own in rounds for photo in own]
    return ListingTable(
        views=stack_views([*shown, *came]),
        products=np.array([product for product, _, _ in rounds]),
        families=np.array([own[0].family for _, _, own in rounds]),
        recoloured=np.arange(len(rounds)) >= len(by_product),
        goods=np.repeat(np.arange(len(rounds)), [len(own) for _, _, own in rounds]),
    )


def view_file(path: Path, *, encoder: Encoder, angle: float = 0.0) -> GoodsView:
    """Return what the matcher reads of the photo at `path`, its hues turned by `angle` (radians)."""
    upright = open_photo(path.read_bytes(), needed_side=PHOTO_SIDE)
    image = turn_hues(upright.image, angle=angle) if angle else upright.image
    return read_view(encoder.encode(image, scale=upright.scale))


def split_families(families: NDArray[np.str_], *, n_folds: int) -> Places:
    """Return the fold of each goods: families stay whole, those with most siblings are spread first."""
    names, counts = np.unique(families, return_counts=True)
    size = np.zeros(min(n_folds, len(names)), np.intp)
    fold_of: dict[str, int] = {}
    for place in np.argsort(-counts, kind="stable"):
        fold_of[str(names[place])] = int(size.argmin())
        size[size.argmin()] += counts[place]
    return np.array([fold_of[str(family)] for family in families], np.intp)


def without(table: ListingTable, left_out: NDArray[np.bool_]) -> Goods:
    """Return the goods that are not left out, numbered anew. left_out : by goods, shape (n_goods,)."""
    kept = np.flatnonzero(~left_out)
    number = np.full(len(left_out), -1)
    number[kept] = np.arange(len(kept))
    photos = np.flatnonzero(number[table.goods] >= 0)
    return Goods(
        listing=table.listing[kept], received=table.received[photos], goods=number[table.goods[photos]]
    )
