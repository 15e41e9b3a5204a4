"""Examples for the damage head: which photos are shown, how they are varied, damaged and encoded.

Every type of goods gives intact and damaged examples: where one class was never photographed it is drawn
(damage on intact goods; marks erased from garments), so that neither a source nor a ruler can stand for
damage. Knows nothing of how the head learns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.photo_cells import GRID, read_cells
from training.damage_data import Box, DamagePhoto, erase_boxes, open_pixels, random_boxes
from training.harmless_changes import draw_label, draw_ruler, reframe, vary_harmlessly
from training.photo_scene import Mask, Pixels
from training.synthetic_damage import damage_photo

AS_TAKEN, VARIED, DRAWN = "as_taken", "varied", "drawn"


class Encoder(Protocol):
    """What turns a photo into feature maps."""

    def encode(self, image: Image.Image) -> PhotoFeatures:
        """Return the feature maps of an RGB photo."""


@dataclass(frozen=True)
class Example:
    """A photo to learn from. `marks` is None where it is unknown which part is damaged.

    origin : "as_taken" (a real photo), "varied" (a real photo changed harmlessly), "drawn" (of a drawn pair)
    """

    pixels: Pixels
    marks: Mask | None
    damaged: bool
    photo: DamagePhoto
    origin: str


@dataclass(frozen=True)
class ExampleTable:
    """Encoded examples, one a row.

    fine : float16 (n, 784, 192); coarse : float16 (n, 196, 320); summary : float32 (n, 3328)
    content : float32 (n, 28, 28), share of the cell that is photo; marks : bool (n, 28, 28)
    marks_known, damaged : bool (n,); product, photo, origin : str (n,)
    twin : int (n,), row of the intact twin of a drawn damaged photo, else -1
    """

    fine: NDArray[np.float16]
    coarse: NDArray[np.float16]
    summary: NDArray[np.float32]
    content: NDArray[np.float32]
    marks: NDArray[np.bool_]
    marks_known: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    product: NDArray[np.str_]
    photo: NDArray[np.str_]
    origin: NDArray[np.str_]
    twin: NDArray[np.intp]


@dataclass(frozen=True)
class ExampleCounts:
    """How many examples to draw, by kind; the fewer photos a type has, the more examples of each.

    bases_per_type, clothing_bases, received_bases, listing_bases : intact photos to draw damage on
    marked_bases : times that each photo with marks is one, its marks erased
    harms : damaged twins of each base
    variants_per_type : harmless variants of really damaged photos
    long_side : of the photos before they are encoded, pixels
    """

    bases_per_type: int = 140
    clothing_bases: int = 250
    received_bases: int = 280
    listing_bases: int = 240
    marked_bases: int = 4
    harms: int = 2
    variants_per_type: int = 160
    long_side: int = PHOTO_SIDE


def mark_boxes(pixels: Pixels, boxes: Sequence[Box]) -> Mask:
    """Return a mask (height, width) with 1 inside the boxes."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in boxes:
        rows = slice(max(0, int(y0 * height)), int(np.ceil(y1 * height)))
        mask[rows, max(0, int(x0 * width)) : int(np.ceil(x1 * width))] = 1
    return mask


def real_examples(photos: Iterable[DamagePhoto], *, long_side: int = PHOTO_SIDE) -> Iterator[Example]:
    """Yield each photo as it was taken."""
    for photo in photos:
        pixels = open_pixels(photo, long_side=long_side)
        marks = mark_boxes(pixels, photo.boxes) if photo.boxes else None
        if not photo.damaged:
            marks = np.zeros(pixels.shape[:2], np.float32)
        yield Example(pixels, marks, photo.damaged, photo, AS_TAKEN)


def drawn_examples(
    photos: Sequence[DamagePhoto],
    goods: Sequence[DamagePhoto],
    *,
    counts: ExampleCounts,
    rng: np.random.Generator,
) -> Iterator[Example]:
    """Yield intact photos, each followed by its damaged twins, and variants of really damaged photos.

    photos : training photos of the damage table
    goods : intact goods of other kinds
    """
    for photo in _choose_bases(photos, goods, counts, rng):
        pixels = open_pixels(photo, long_side=counts.long_side)
        if photo.damaged:
            pixels = erase_boxes(pixels, photo.boxes, rng)
        pixels, _ = reframe(pixels, [], rng)
        yield Example(vary(pixels, rng), np.zeros(pixels.shape[:2]), False, photo, DRAWN)
        for _ in range(counts.harms):
            harmed = damage_photo(pixels, rng)
            if harmed.kind:
                yield Example(vary(harmed.pixels, rng), harmed.mask, True, photo, DRAWN)
    for photo in _choose_damaged(photos, counts, rng):
        pixels = open_pixels(photo, long_side=counts.long_side)
        marks = mark_boxes(pixels, photo.boxes)
        if photo.boxes:
            pixels = erase_boxes(pixels, random_boxes(photo.boxes, rng), rng)
        framed, (framed_marks,) = reframe(pixels, [marks], rng)
        if framed_marks.sum() < 0.7 * marks.sum():
            framed, framed_marks = pixels, marks
        yield Example(vary(framed, rng), framed_marks if photo.boxes else None, True, photo, VARIED)


def encode_examples(examples: Iterable[Example], encoder: Encoder) -> ExampleTable:
    """Return the encoder's features of every example, in order."""
    rows: dict[str, list[NDArray[np.generic]]] = {
        name: [] for name in ("fine", "coarse", "summary", "content", "marks")
    }
    marks_known: list[bool] = []
    damaged: list[bool] = []
    product: list[str] = []
    photo: list[str] = []
    origin: list[str] = []
    twin: list[int] = []
    whole = -1
    for example in examples:
        image = Image.fromarray(np.clip(example.pixels, 0, 255).astype(np.uint8))
        features = encoder.encode(image)
        cells = read_cells(features)
        fine = np.concatenate([cells.levels["stride8"], cells.levels["stride16"]])
        rows["fine"].append(fine.reshape(len(fine), -1).T.astype(np.float16))
        coarse = cells.levels["stride32"]
        rows["coarse"].append(coarse.reshape(len(coarse), -1).T.astype(np.float16))
        rows["summary"].append(cells.summary)
        rows["content"].append(cells.content)
        rows["marks"].append(_marks_by_cell(example.marks, features))
        if example.origin == DRAWN and not example.damaged:
            whole = len(damaged)
        twin.append(whole if example.origin == DRAWN and example.damaged else -1)
        marks_known.append(example.marks is not None)
        damaged.append(example.damaged)
        product.append(example.photo.product)
        photo.append(str(example.photo.path))
        origin.append(example.origin)
    return ExampleTable(
        fine=np.stack(rows["fine"]).astype(np.float16),
        coarse=np.stack(rows["coarse"]).astype(np.float16),
        summary=np.stack(rows["summary"]).astype(np.float32),
        content=np.stack(rows["content"]).astype(np.float32),
        marks=np.stack(rows["marks"]).astype(np.bool_),
        marks_known=np.array(marks_known),
        damaged=np.array(damaged),
        product=np.array(product),
        photo=np.array(photo),
        origin=np.array(origin),
        twin=np.array(twin, np.intp),
    )


def _marks_by_cell(marks: Mask | None, features: PhotoFeatures) -> NDArray[np.bool_]:
    """Return which cells of the letterboxed square hold a mark, bool (28, 28)."""
    square = np.zeros((PHOTO_SIDE, PHOTO_SIDE), np.float32)
    if marks is not None:
        width, height = (round(length / features.scale) for length in features.size)
        x, y = features.offset
        resized = Image.fromarray(marks.astype(np.float32)).resize((width, height))
        square[y : y + height, x : x + width] = np.asarray(resized)
    step = PHOTO_SIDE // GRID
    return np.asarray(square.reshape(GRID, step, GRID, step).max((1, 3)) > 0.3)


def vary(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo changed harmlessly, now and then with a ruler or a label on it."""
    if rng.random() < 0.12:
        pixels = draw_ruler(pixels, rng)
    if rng.random() < 0.12:
        pixels = draw_label(pixels, rng)
    return vary_harmlessly(pixels, rng)


def _repeat(
    photos: Sequence[DamagePhoto], wanted: int, rng: np.random.Generator, *, most: int = 5
) -> list[DamagePhoto]:
    """Return about `wanted` photos: some of many, each several times of few."""
    times = max(1, min(most, wanted // max(1, len(photos))))
    order = rng.permutation(len(photos))[:wanted]
    return [photos[i] for i in order for _ in range(times)]


def _choose_bases(
    photos: Sequence[DamagePhoto],
    goods: Sequence[DamagePhoto],
    counts: ExampleCounts,
    rng: np.random.Generator,
) -> list[DamagePhoto]:
    """Return the photos that get a drawn pair: intact ones, and marked ones whose marks can be erased."""
    chosen = [photo for photo in photos if photo.boxes] * counts.marked_bases
    clothing = [photo for photo in photos if not photo.damaged and photo.product.startswith("clothing_")]
    chosen += _repeat(clothing, counts.clothing_bases, rng, most=2)
    others = sorted({photo.product for photo in photos if not photo.product.startswith("clothing_")})
    for product in others:
        intact = [photo for photo in photos if photo.product == product and not photo.damaged]
        chosen += _repeat(intact, counts.bases_per_type, rng, most=10)
    received = [photo for photo in goods if photo.product == "grocery_received"]
    listing = [photo for photo in goods if photo.product == "grocery_listing"]
    return chosen + _repeat(received, counts.received_bases, rng) + _repeat(listing, counts.listing_bases, rng, most=10)


def _choose_damaged(
    photos: Sequence[DamagePhoto], counts: ExampleCounts, rng: np.random.Generator
) -> list[DamagePhoto]:
    chosen = []
    for product in sorted({photo.product for photo in photos}):
        damaged = [photo for photo in photos if photo.product == product and photo.damaged]
        chosen += _repeat(damaged, counts.variants_per_type, rng)
    return chosen
