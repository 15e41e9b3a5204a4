"""Tiny goods, whole and damaged, a table of their photos and a fast encoder, for the tests of the damage classifier."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders import PhotoFeatures, letterbox

COLOURS = {"cup": (70, 120, 200), "vase": (200, 140, 60)}


class TinyEncoder:
    """Colour means on a grid in the first channels of each map, as fast as a test needs."""

    def encode(self, image: Image.Image) -> PhotoFeatures:
        square, scale, offset = letterbox(image)
        maps: dict[str, NDArray[np.float32]] = {}
        for name, channels, side in (("stride8", 40, 56), ("stride16", 112, 28), ("stride32", 320, 14)):
            small = square.resize((side, side), Image.Resampling.BOX)
            values = np.zeros((channels, side, side), np.float32)
            values[:3] = (np.asarray(small, np.float32).transpose(2, 0, 1) - 127) / 128
            maps[name] = values
        head = np.zeros((1280, 14, 14), np.float32)
        head[:3] = maps["stride32"][:3]
        maps["head"] = head
        thumbnail = np.asarray(square.resize((112, 112)), np.uint8)
        return PhotoFeatures(maps=maps, thumbnail=thumbnail, scale=scale, offset=offset, size=image.size)


def draw_goods(product: str, *, damaged: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a coloured disc on white; a black blot is its damage."""
    y, x = np.mgrid[:96, :96]
    pixels = np.full((96, 96, 3), 245.0)
    pixels[np.hypot(x - 48, y - 48) < 36] = COLOURS[product]
    if damaged:
        row, column = rng.integers(30, 66, 2)
        pixels[np.hypot(x - column, y - row) < 9] = 5
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def write_photos(root: Path) -> Path:
    """Write `damage/photos.csv` and its photos under `root`; return `root`."""
    folder = root / "damage"
    folder.mkdir()
    rng = np.random.default_rng(5)
    with (folder / "photos.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["photo", "product", "damaged", "source", "split", "boxes"])
        for product in COLOURS:
            for number in range(20):
                damaged = number % 2 == 1
                name = f"{product}{number}.png"
                Image.fromarray(draw_goods(product, damaged=damaged, rng=rng)).save(folder / name)
                split = "test" if number >= 14 else "train"
                boxes = "0.5 0.5 0.5 0.5" if damaged and product == "cup" else ""
                table.writerow([name, product, int(damaged), "drawn", split, boxes])
    return root
