"""The goods to learn matching from: encoded photos, and how families are left out.

Knows nothing of heads or calibration.
"""

from __future__ import annotations

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
    goods : what each received photo shows, shape (n_photos,)
    """

    views: ViewTable
    products: NDArray[np.str_]
    families: NDArray[np.str_]
    goods: Places

    @property
    def listing(self) -> Places:
        """Rows of the listing photos, shape (n_goods,)."""
        return np.arange(len(self.products))

    @property
    def received(self) -> Places:
        """Rows of the received photos, shape (n_photos,)."""
        return np.arange(len(self.goods)) + len(self.products)


def encode_photos(photos: Sequence[ListingPhoto], *, encoder: Encoder) -> ListingTable:
    """Return the goods of `photos`, every photo encoded once."""
    by_product = {photo.product: photo for photo in photos}
    products = sorted(by_product)
    places = {product: place for place, product in enumerate(products)}
    paths = [by_product[product].listing for product in products] + [photo.path for photo in photos]
    return ListingTable(
        views=stack_views([view_file(path, encoder=encoder) for path in paths]),
        products=np.array(products),
        families=np.array([by_product[product].family for product in products]),
        goods=np.array([places[photo.product] for photo in photos], np.intp),
    )


def view_file(path: Path, *, encoder: Encoder) -> GoodsView:
    """Return what the matcher reads of the photo at `path`."""
    upright = open_photo(path.read_bytes(), needed_side=PHOTO_SIDE)
    return read_view(encoder.encode(upright.image, scale=upright.scale))


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
    return Goods(listing=table.listing[kept], received=table.received[photos], goods=number[table.goods[photos]])
