"""Learns where a mark lies on cells of 8 pixels: `fit_pointer(photos, encoder=..., rng=...)`.

Logistic regression of marked cells against other cells of the same photos: really marked photos, harmless variants of
them, and small marks drawn on intact clothing. Knows nothing of heads, files or whether a photo is damaged.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from models.encoders import PHOTO_SIDE, PhotoFeatures
from models.photo_cells import content_share
from models.photo_point import FINE_GRID, LEVEL_INPUTS, point_inputs
from training.damage_data import DamagePhoto, erase_boxes, open_pixels, random_boxes
from training.damage_examples import Encoder, mark_boxes, vary
from training.harmless_changes import reframe
from training.photo_scene import Mask, Pixels, Scene, find_object
from training.synthetic_damage import draw_mark

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PointerSettings:
    """How the pointer learns.

    variants : harmless variants of each marked photo; drawn_marks : intact photos of clothing with a drawn mark
    drawn_weight : weight of those next to 1; C : inverse regularisation; steps : of the solver, which stops short
    cells : marked and other cells taken from each photo, at most
    heads_weight : of the heads' logits beside the pointer's own, as measured by cross-validation
    """

    variants: int = 4
    drawn_marks: int = 300
    drawn_weight: float = 0.5
    C: float = 0.03
    steps: int = 60
    cells: tuple[int, int] = (30, 90)
    heads_weight: float = 0.25
    long_side: int = PHOTO_SIDE


def fit_pointer(
    photos: Sequence[DamagePhoto], *, encoder: Encoder, seed: int = 0, settings: PointerSettings | None = None
) -> dict[str, Floats]:
    """Return the arrays that `models.photo_point` reads; none where no photo has its marks boxed.

    photos : labelled photos to learn from
    """
    if not any(photo.boxes for photo in photos):
        return {}
    settings = settings or PointerSettings()
    rng = np.random.default_rng(seed)
    views = _units(photos, encoder, settings, rng)
    rows: list[Floats] = []
    marked: list[NDArray[np.bool_]] = []
    weight: list[NDArray[np.float64]] = []
    for pixels, mask, photo_weight in _marked_examples(photos, settings, rng):
        features = encoder.encode(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
        inside = marked_cells(mask, features).ravel()
        outside = (content_share(features, cells=FINE_GRID).ravel() > 0.5) & ~inside
        if not inside.any() or not outside.any():
            continue
        read = _by_cell(point_inputs(features, views))
        for cells, most, truth in ((inside, settings.cells[0], True), (outside, settings.cells[1], False)):
            chosen = rng.permutation(np.flatnonzero(cells))[:most]
            rows.append(read[chosen])
            marked.append(np.full(len(chosen), truth))
            weight.append(np.full(len(chosen), 0.5 * photo_weight / len(chosen)))
    X, shares = np.concatenate(rows), np.concatenate(weight)
    mean, std = X.mean(0), X.std(0) + 1e-3
    model = LogisticRegression(C=settings.C, max_iter=settings.steps)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit((X - mean) / std, np.concatenate(marked), sample_weight=shares / shares.mean())
    direction = (model.coef_[0] / std).astype(np.float32)
    split = LEVEL_INPUTS["stride8"]
    learned = {"stride8.weight": direction[:split], "stride16.weight": direction[split:]}
    return {**views, **learned, "heads": np.array([settings.heads_weight], np.float32)}


def marked_cells(mask: Mask, features: PhotoFeatures) -> NDArray[np.bool_]:
    """Return which cells of 8 pixels have their middle, or a third of their area, in a mark: bool (56, 56)."""
    square = np.zeros((PHOTO_SIDE, PHOTO_SIDE), np.float32)
    width, height = (round(length / features.scale) for length in features.size)
    x, y = features.offset
    resized = np.asarray(Image.fromarray(mask.astype(np.float32)).resize((width, height)))
    square[y : y + height, x : x + width] = resized
    step = PHOTO_SIDE // FINE_GRID
    cells = square.reshape(FINE_GRID, step, FINE_GRID, step)
    middle = slice(step // 2 - 1, step // 2 + 1)
    return np.asarray((cells[:, middle, :, middle].mean((1, 3)) > 0.5) | (cells.mean((1, 3)) > 0.3))


def _units(
    photos: Sequence[DamagePhoto], encoder: Encoder, settings: PointerSettings, rng: np.random.Generator
) -> dict[str, Floats]:
    """Return mean and spread of each channel of both levels over some marked photos."""
    boxed = [photo for photo in photos if photo.boxes]
    maps: Mapping[str, list[Floats]] = {"stride8": [], "stride16": []}
    for place in rng.permutation(len(boxed))[:40]:
        pixels = open_pixels(boxed[place], long_side=settings.long_side)
        features = encoder.encode(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
        for level, kept in maps.items():
            kept.append(features.maps[level])
    return {
        f"{level}.{name}": np.asarray(values, np.float32)
        for level, kept in maps.items()
        for name, values in (
            ("mean", np.stack(kept).mean((0, 2, 3))),
            ("std", np.stack(kept).std((0, 2, 3)) + 1e-3),
        )
    }


def _marked_examples(
    photos: Sequence[DamagePhoto], settings: PointerSettings, rng: np.random.Generator
) -> Iterator[tuple[Pixels, Mask, float]]:
    """Yield photos, the masks of their marks and their weights."""
    for photo in (photo for photo in photos if photo.boxes):
        pixels = open_pixels(photo, long_side=settings.long_side)
        marks = mark_boxes(pixels, photo.boxes)
        yield pixels, marks, 1.0
        for _ in range(settings.variants):
            patched = erase_boxes(pixels, random_boxes(photo.boxes, rng), rng) if rng.random() < 0.5 else pixels
            framed, (framed_marks,) = reframe(patched, [marks], rng)
            if framed_marks.sum() < 0.7 * marks.sum():
                framed, framed_marks = patched, marks
            if rng.random() < 0.5:
                framed, framed_marks = framed[:, ::-1], framed_marks[:, ::-1]
            yield vary(framed, rng), framed_marks, 1.0
    clothing = [photo for photo in photos if photo.product.startswith("clothing_") and not photo.damaged]
    for place in rng.permutation(len(clothing))[: settings.drawn_marks]:
        pixels, _ = reframe(open_pixels(clothing[place], long_side=settings.long_side), [], rng)
        drawn = draw_mark(Scene(pixels, find_object(pixels), rng))
        yield vary(drawn.pixels, rng), (drawn.mask > 0.3).astype(np.float32), settings.drawn_weight


def _by_cell(read: Mapping[str, Floats]) -> Floats:
    """Return inputs by cell of 8 pixels, (3136, 456)."""
    coarse = read["stride16"].repeat(2, 1).repeat(2, 2)
    return np.concatenate([read["stride8"], coarse]).reshape(-1, FINE_GRID * FINE_GRID).T
