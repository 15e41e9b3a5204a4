"""Changes that are no damage: light, shadow, rulers, stickers, colour, framing, camera blur and compression.

Drawn on intact and damaged photos alike, so that none of them can stand for damage: some photos of marks show
a ruler beside the mark, and each source has its own sharpness and compression.
Knows nothing of files, encoders or classifiers. Photos are float32 arrays (height, width, 3) in [0, 255].
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.photo_scene import Pixels, fractal_noise


def _as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw_ruler(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Lay a graduated metal or clear ruler along one side of the photo."""
    height, width = pixels.shape[:2]
    length, thick = round(1.5 * max(height, width)), round(max(height, width) * rng.uniform(0.09, 0.2))
    tone = rng.uniform(90, 215)
    steel = tone + 10 * fractal_noise(thick, length, rng, cells=6) + 3 * rng.normal(size=(thick, 1))
    colour = rng.normal(0, 6, 3)
    strip = _as_image((steel[..., None] + colour).astype(np.float32))
    draw = ImageDraw.Draw(strip)
    step = rng.uniform(4, 11)
    ink = tuple(int(v) for v in np.clip(tone - rng.uniform(60, 120) + colour, 0, 255))
    for i in range(int(length / step)):
        reach = thick * (0.4 if i % 10 == 0 else 0.28 if i % 5 == 0 else 0.18)
        draw.line([(i * step, 0), (i * step, reach)], fill=ink, width=1 + int(step > 7))
        draw.line([(i * step, thick), (i * step, thick - reach * 0.9)], fill=ink, width=1)
        if i % 10 == 0:
            draw.text((i * step + 2, thick * 0.42), str(i // 10), fill=ink, font_size=max(8.0, thick * 0.25))
    stencil = Image.new("L", strip.size, int(rng.uniform(215, 255)))
    turn = rng.normal(0, 6) + (90 if rng.random() < 0.6 else 0) + (180 if rng.random() < 0.5 else 0)
    strip, stencil = (
        strip.rotate(turn, expand=True, resample=Image.Resampling.BILINEAR),
        stencil.rotate(turn, expand=True),
    )
    canvas = _as_image(pixels)
    upright = abs(np.sin(np.deg2rad(turn))) > 0.5
    near = 0 if rng.random() < 0.5 else 1
    if upright:
        place = (
            int(near * width - strip.width * rng.uniform(0.2, 0.8)),
            int(-rng.uniform(0, 1) * (strip.height - height)),
        )
    else:
        place = (
            int(-rng.uniform(0, 1) * (strip.width - width)),
            int(near * height - strip.height * rng.uniform(0.2, 0.8)),
        )
    canvas.paste(strip, place, stencil)
    return np.asarray(canvas, np.float32)


def draw_label(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Put a printed sticker with straight edges somewhere."""
    height, width = pixels.shape[:2]
    wide, high = int(width * rng.uniform(0.08, 0.3)), int(height * rng.uniform(0.04, 0.18))
    base = rng.uniform(20, 255, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(200, 250))
    label = Image.new("RGB", (max(8, wide), max(6, high)), tuple(int(v) for v in base))
    draw = ImageDraw.Draw(label)
    ink = (20, 20, 20) if base.mean() > 120 else (235, 235, 235)
    for row in range(2, high - 4, max(5, high // 4)):
        words = "".join(rng.choice(list("ABEHKLMNORSTUX0123456789 |"), size=24))
        draw.text((3, row), words, fill=ink, font_size=float(max(6, high // 4)))
    stencil = Image.new("L", label.size, 255)
    turn = rng.normal(0, 15)
    label, stencil = label.rotate(turn, expand=True), stencil.rotate(turn, expand=True)
    canvas = _as_image(pixels)
    canvas.paste(label, (int(rng.uniform(-0.05, 0.85) * width), int(rng.uniform(-0.05, 0.9) * height)), stencil)
    return np.asarray(canvas, np.float32)


def _cast_shadow(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    light = fractal_noise(height, width, rng, cells=2, octaves=1)
    return pixels * (1 + rng.uniform(0.03, 0.16) * light)[..., None]


def vary_harmlessly(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the photo in other light, colour, sharpness and compression; same size, nothing moved.

    pixels : shape (height, width, 3), in [0, 255]; left unchanged
    rng : source of every random choice; the same state draws the same change
    """
    if rng.random() < 0.25:
        pixels = _cast_shadow(pixels, rng)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    middle = pixels.mean()
    pixels = (pixels - middle) * rng.uniform(0.85, 1.18) + middle * gain + rng.uniform(-8, 8)
    if rng.random() < 0.08:
        pixels = np.repeat(pixels.mean(-1, keepdims=True), 3, axis=-1)
    image = _as_image(pixels.astype(np.float32))
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.1))))
    if rng.random() < 0.25:
        small = rng.uniform(0.5, 0.9)
        size = image.size
        image = image.resize((max(8, int(size[0] * small)), max(8, int(size[1] * small)))).resize(size)
    if rng.random() < 0.2:
        grain = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(2, 7), (*image.size[::-1], 3))
        image = _as_image(grain.astype(np.float32))
    if rng.random() < 0.5:
        held = io.BytesIO()
        image.save(held, "JPEG", quality=int(rng.integers(45, 95)))
        image = Image.open(held).convert("RGB")
    return np.asarray(image, np.float32)


def reframe(
    pixels: Pixels, masks: list[NDArray[np.float32]], rng: np.random.Generator, *, crop: float = 0.2
) -> tuple[Pixels, list[NDArray[np.float32]]]:
    """Return the photo and its masks mirrored, turned by quarter turns and cropped together.

    crop : largest share of either side to cut off, in [0, 1)
    """
    turns = int(rng.choice([0, 0, 0, 1, 2, 3]))
    mirror = rng.random() < 0.5
    height, width = pixels.shape[:2]
    top, left = (int(rng.uniform(0, crop / 2) * height), int(rng.uniform(0, crop / 2) * width))
    bottom, right = (
        height - int(rng.uniform(0, crop / 2) * height),
        width - int(rng.uniform(0, crop / 2) * width),
    )

    def move(values: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = np.rot90(values[top:bottom, left:right], turns)
        return np.ascontiguousarray(moved[:, ::-1] if mirror else moved)

    return move(pixels), [move(mask) for mask in masks]
