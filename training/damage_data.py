"""Photos for the damage classifier: the labelled rows on disk, read into frozen records.

`damage/photos.csv` holds photo, product, damaged, source, split, boxes; `grocery/photos.csv`, if there, lends
its training photos as goods that are intact. Knows nothing of encoders or classifiers.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from models.errors import CaseFormatError
from models.images import open_photo
from training.photo_scene import Pixels

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class DamagePhoto:
    """One labelled photo.

    path : the file
    product : product type, such as "cookie"; types never share goods
    damaged : whether damage can be seen
    source : the collection it came from
    split : "train", "dev" or "test"
    boxes : (x0, y0, x1, y1) of each mark as shares of width and height; empty where nobody drew boxes
    """

    path: Path
    product: str
    damaged: bool
    source: str
    split: str
    boxes: tuple[Box, ...] = ()


def read_damage_photos(data_dir: Path) -> list[DamagePhoto]:
    """Return the labelled photos of `data_dir/damage/photos.csv`, in file order.

    Raises CaseFormatError, which lists every bad line, and FileNotFoundError where there is no such table.
    """
    table = data_dir / "damage" / "photos.csv"
    photos, problems = [], []
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                photos.append(
                    DamagePhoto(
                        path=table.parent / row["photo"],
                        product=row["product"],
                        damaged={"1": True, "0": False}[row["damaged"]],
                        source=row["source"],
                        split=row["split"],
                        boxes=parse_boxes(row.get("boxes") or ""),
                    )
                )
            except (KeyError, ValueError) as error:
                problems.append((f"line {number}", f"{type(error).__name__}: {error}"))
    if problems:
        raise CaseFormatError(problems, source=str(table))
    return photos


def parse_boxes(text: str) -> tuple[Box, ...]:
    """Return boxes as corners out of "x y w h;x y w h", centre and size as shares of the photo.

    Raises ValueError where a box has not four numbers.
    """
    boxes = []
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        x, y, w, h = (float(value) for value in part.split()[-4:])
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return tuple(boxes)


def read_intact_goods(data_dir: Path, *, split: str = "train") -> list[DamagePhoto]:
    """Return received and listing photos of a split of `data_dir/grocery`, taken as intact; maybe none.

    Their product is "grocery_received" or "grocery_listing".
    """
    table = data_dir / "grocery" / "photos.csv"
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == split]
    received = [(row["photo"], "grocery_received") for row in rows]
    listings = [(name, "grocery_listing") for name in sorted({row["listing"] for row in rows})]
    return [
        DamagePhoto(table.parent / name, product, damaged=False, source="grocery", split=split)
        for name, product in received + listings
    ]


def open_pixels(photo: DamagePhoto, *, long_side: int) -> Pixels:
    """Return the upright photo as RGB float32 (height, width, 3) in [0, 255], its longer side `long_side`.

    Raises ImageUnreadableError and ImageTooLargeError as `models.images.open_photo` does.
    """
    image = open_photo(photo.path.read_bytes(), needed_side=2 * long_side).image
    scale = long_side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), np.float32)


def erase_boxes(pixels: Pixels, boxes: Sequence[Box], rng: np.random.Generator, *, n_tries: int = 40) -> Pixels:
    """Return the photo with each box covered by the best-fitting patch from elsewhere in it.

    A marked garment becomes an intact one with the same ruler and light, so that neither can stand for
    damage.
    boxes : corners as shares of the photo
    n_tries : patches compared for each box
    """
    height, width = pixels.shape[:2]
    result = pixels.copy()
    taken = np.zeros((height, width), np.bool_)
    corners = []
    for x0, y0, x1, y1 in boxes:
        pad = 6
        left, right = max(0, int(x0 * width) - pad), min(width, int(x1 * width) + pad)
        top, bottom = max(0, int(y0 * height) - pad), min(height, int(y1 * height) + pad)
        if right - left > 2 and bottom - top > 2:
            taken[top:bottom, left:right] = True
            corners.append((top, bottom, left, right))
    for top, bottom, left, right in corners:
        high, wide = bottom - top, right - left
        if high >= height or wide >= width:
            continue
        ring = np.ones((high, wide), np.bool_)
        ring[4:-4, 4:-4] = False
        here = pixels[top:bottom, left:right]
        best, best_cost = None, np.inf
        for _ in range(n_tries):
            row = int(np.clip(top + rng.normal(0, 1.5 * high), 0, height - high))
            column = int(np.clip(left + rng.normal(0, 1.5 * wide), 0, width - wide))
            patch = pixels[row : row + high, column : column + wide]
            cost = float(np.abs(patch - here)[ring].mean()) + 200 * float(
                taken[row : row + high, column : column + wide].mean()
            )
            if cost < best_cost:
                best, best_cost = patch, cost
        if best is None:
            continue
        soft = np.zeros((height, width), np.float32)
        soft[top + 3 : bottom - 3, left + 3 : right - 3] = 1
        blend = ndimage.gaussian_filter(soft, 2.0)[top:bottom, left:right, None]
        level = (here - best)[ring].mean(0)
        result[top:bottom, left:right] = result[top:bottom, left:right] * (1 - blend) + (best + level) * blend
    return np.clip(result, 0, 255).astype(np.float32)


def random_boxes(avoid: Sequence[Box], rng: np.random.Generator, *, n_boxes: int = 2) -> tuple[Box, ...]:
    """Return boxes that overlap none of `avoid`: a damaged photo is patched there, as its intact twin is."""
    boxes: list[Box] = []
    for _ in range(30):
        if len(boxes) == n_boxes:
            break
        w, h = rng.uniform(0.03, 0.16, 2)
        x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
        if all(x + w < a or c < x or y + h < b or d < y for a, b, c, d in avoid):
            boxes.append((x, y, x + w, y + h))
    return tuple(boxes)
