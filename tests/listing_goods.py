"""Tiny goods, a table of their photos, and a fast encoder, for the tests of the listing matcher."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.encoders import PhotoFeatures, letterbox

FAMILIES = {
    "cup": {"cup-red": (210, 40, 40), "cup-blue": (40, 60, 200)},
    "bag": {"bag-green": (40, 160, 60), "bag-violet": (150, 50, 170)},
    "pen": {"pen-black": (20, 20, 25), "pen-orange": (240, 140, 20)},
    "tin": {"tin-teal": (10, 150, 160), "tin-brown": (120, 80, 40)},
    "hat": {"hat-pink": (240, 150, 180), "hat-navy": (20, 30, 90)},
}
SPLITS = {"cup": "train", "bag": "train", "pen": "train", "tin": "dev", "hat": "test"}

N_CHANNELS = 8 + 12 + 6
N_BINS = 196


class TinyEncoder:
    """Colours, and how much they change, on a grid in the first channels of each map."""

    digest = "tiny"

    def encode(self, image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        square, ratio, offset = letterbox(image)
        maps: dict[str, NDArray[np.float32]] = {}
        for name, channels, side in (("stride16", 8, 28), ("stride32", 12, 14), ("head", 16, 14)):
            pixels = np.asarray(square.resize((side, side), Image.Resampling.BOX), np.float32)
            values = np.zeros((channels, side, side), np.float32)
            values[:3] = (pixels.transpose(2, 0, 1) - 127) / 128
            values[3:6] = np.abs(np.gradient(values[:3], axis=2))
            maps[name] = values
        thumbnail = np.asarray(square.resize((112, 112), Image.Resampling.BOX), np.uint8)
        return PhotoFeatures(maps, thumbnail, ratio * scale, offset, image.size)


def draw_goods(product: str, rng: np.random.Generator, *, listed: bool) -> Image.Image:
    """Return a striped or plain disc: on white as a pack-shot, or off centre on a mottled shelf."""
    family = product.split("-")[0]
    y, x = np.mgrid[:96, :96]
    row, column, radius = (48.0, 48.0, 42.0) if listed else (*rng.uniform(36, 60, 2), rng.uniform(20, 30))
    pixels = np.full((96, 96, 3), 255.0) if listed else rng.normal(110, 25, (96, 96, 3))
    inside = np.hypot(x - column, y - row) < radius
    stripes = 30 * np.sign(np.sin(x * (0.3 + 0.3 * list(FAMILIES).index(family))))
    goods = np.array(FAMILIES[family][product])[None, None] + stripes[..., None]
    pixels[inside] = goods[inside] + (0 if listed else rng.normal(0, 8, (int(inside.sum()), 3)))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_goods(root: Path, *, photos_each: int = 6, splits: dict[str, str] | None = None) -> Path:
    """Write `grocery/photos.csv` and its photos under `root`; return `root`."""
    rng = np.random.default_rng(3)
    folder = root / "grocery"
    for part in ("listing", "received"):
        (folder / part).mkdir(parents=True)
    with (folder / "photos.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["photo", "listing", "product", "family", "packaged", "split"])
        for family, products in FAMILIES.items():
            for product in products:
                listing = f"listing/{product}.png"
                draw_goods(product, rng, listed=True).save(folder / listing)
                for number in range(photos_each):
                    photo = f"received/{product}-{number}.png"
                    draw_goods(product, rng, listed=False).save(folder / photo)
                    table.writerow([photo, listing, product, family, 0, (splits or SPLITS)[family]])
    return root


def plain_head() -> dict[str, NDArray[np.float32]]:
    """Return a head that knows colours only: codes are the cell's mean colour, on both sides alike."""
    axes = np.zeros((N_CHANNELS, 3), np.float32)
    axes[20:23] = np.diag([0.2, 1, 1])
    mean = np.zeros(N_CHANNELS, np.float32)
    mean[20] = 50
    return {
        "mean": mean,
        "std": np.full(N_CHANNELS, 30, np.float32),
        "shift": np.zeros(N_CHANNELS, np.float32),
        "listing_axes": axes,
        "received_axes": axes,
        "listing_notice": np.zeros(N_CHANNELS, np.float32),
        "received_notice": np.zeros(N_CHANNELS, np.float32),
        "colour_axes": np.eye(N_BINS, dtype=np.float32),
        "sharpness": np.array([3], np.float32),
    }
