"""What surfaces look like: a material is a way of reflecting light with a colour or a painted picture.

Pictures are (height, width, 3) in [0, 1], display colours. Knows nothing of meshes or of mitsuba.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from training.photo_scene import fractal_noise
from training.render.meshes import Points


@dataclass(frozen=True)
class Material:
    """`picture` stands in for `colour` where given; roughness in (0, 1); `glow` is light given off."""

    kind: Literal["matte", "plastic", "rough_plastic", "metal", "glass", "glow"] = "rough_plastic"
    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    picture: Points | None = field(default=None, compare=False)
    roughness: float = 0.15
    glow: float = 0.0


def hue(name: str) -> tuple[float, float, float]:
    """Return a display colour in [0, 1] from '#rrggbb' or a CSS name."""
    r, g, b = ImageColor.getrgb(name)[:3]
    return r / 255, g / 255, b / 255


def plain(colour: str, *, height: int = 512, width: int = 512) -> Points:
    return np.asarray(np.ones((height, width, 3)) * np.asarray(hue(colour)))


def wood(rng: np.random.Generator, *, tone: str, planks: int = 5, size: int = 1024) -> Points:
    """Return planks along x with grain, knots left out, seams dark."""
    y, x = np.mgrid[0:size, 0:size] / size
    row = np.minimum((y * planks).astype(int), planks - 1)
    shift = rng.uniform(0, 9, planks)[row]
    bend = np.asarray(fractal_noise(size, size, rng, cells=3), float)
    grain = np.sin((y * 55 + shift * 7 + bend * 1.6 + 0.6 * np.sin(x * 5 + shift)) * 2 * np.pi * 0.55)
    fibre = np.asarray(fractal_noise(size, 64, rng, cells=160, octaves=2), float)
    fibre = (
        np.repeat(fibre, size // 64, axis=1) * 0.5
        + np.asarray(fractal_noise(size, size, rng, cells=40, octaves=2), float) * 0.5
    )
    light = 1 + 0.07 * grain + 0.05 * fibre + rng.normal(0, 0.07, planks)[row] + 0.05 * bend
    ends = (np.abs(((x + shift) % 1.0) - 0.5) < 0.0012) if planks > 1 else np.zeros_like(x, bool)
    seam = (np.abs(y * planks - np.round(y * planks)) < 0.010) & (planks > 1)
    light = np.where(seam | ends, light * 0.45, light)
    return np.asarray((np.asarray(hue(tone)) * light[..., None]).clip(0, 1))


def cloth(
    rng: np.random.Generator, *, tone: str, threads: int = 110, size: int = 768, stripe: str | None = None
) -> Points:
    """Return a plain weave, uneven as woven threads are, with stripes of another colour if wanted."""
    y, x = np.mgrid[0:size, 0:size] / size
    over = np.sin(x * threads * 2 * np.pi) * np.sin(y * threads * 2 * np.pi)
    uneven = rng.normal(0, 0.05, size)[:, None] + rng.normal(0, 0.05, size)[None, :]
    soft = np.asarray(fractal_noise(size, size, rng, cells=6), float)
    base = np.ones((size, size, 3)) * np.asarray(hue(tone))
    if stripe:
        band = ((x * 9) % 1 < 0.22)[..., None]
        base = np.where(band, np.asarray(hue(stripe)), base)
    return np.asarray((base * (1 + 0.11 * over + uneven + 0.04 * soft)[..., None]).clip(0, 1))


def cardboard(rng: np.random.Generator, *, tone: str = "#b98e62", size: int = 512) -> Points:
    flutes = 0.018 * np.sin(np.arange(size) / size * 2 * np.pi * 70)[None, :]
    spots = np.asarray(fractal_noise(size, size, rng, cells=60, octaves=3), float) * 0.025
    cloud = np.asarray(fractal_noise(size, size, rng, cells=4), float) * 0.03
    return np.asarray((np.asarray(hue(tone)) * (1 + flutes + spots + cloud)[..., None]).clip(0, 1))


def stone(rng: np.random.Generator, *, tone: str, grain: float = 0.06, size: int = 768) -> Points:
    """Return concrete or terrazzo-like stone."""
    cloud = np.asarray(fractal_noise(size, size, rng, cells=5, octaves=5), float)
    grit = rng.normal(0, 1, (size, size))
    return np.asarray((np.asarray(hue(tone)) * (1 + grain * cloud + grain * 0.7 * grit)[..., None]).clip(0, 1))


def mirrored(picture: Points) -> Points:
    """Return the picture with its mirror images beside and below it, so that it repeats without a seam."""
    row = np.concatenate([picture, picture[:, ::-1]], axis=1)
    return np.concatenate([row, row[::-1]])


def tiles(rng: np.random.Generator, *, tone: str, grout: str = "#8d8a85", across: int = 4, size: int = 1024) -> Points:
    y, x = np.mgrid[0:size, 0:size] / size * across
    light = 1 + rng.normal(0, 0.03, (across, across))[y.astype(int) % across, x.astype(int) % across]
    light += 0.03 * np.asarray(fractal_noise(size, size, rng, cells=8, octaves=4), float)
    line = (np.minimum(x % 1, 1 - x % 1) < 0.014) | (np.minimum(y % 1, 1 - y % 1) < 0.014)
    return np.asarray(np.where(line[..., None], hue(grout), np.asarray(hue(tone)) * light[..., None]).clip(0, 1))


def glaze(rng: np.random.Generator, *, tone: str, speckle: float = 0.0, size: int = 768) -> Points:
    """Return a ceramic glaze, slightly cloudy, with iron specks if wanted."""
    cloud = np.asarray(fractal_noise(size, size, rng, cells=4, octaves=4), float)
    base = np.asarray(hue(tone)) * (1 + 0.025 * cloud)[..., None]
    if speckle:
        grit = np.asarray(fractal_noise(size, size, rng, cells=120, octaves=2), float)
        dots = (1 / (1 + np.exp(-(grit - 2.4) * 8)))[..., None] * speckle
        base = base * (1 - dots) + np.asarray([0.24, 0.18, 0.13]) * dots
    return np.asarray(base.clip(0, 1))


def written(
    picture: Points,
    lines: Sequence[tuple[str, float, float, float]],
    *,
    ink: str = "#222222",
    area: tuple[float, float, float, float] | None = None,
    paper: str = "#f4f1ea",
) -> Points:
    """Return the picture with a paper area (x0, y0, x1, y1 in shares) and lines of (text, x, y, size in shares)."""
    height, width = picture.shape[:2]
    image = Image.fromarray((picture * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if area is not None:
        draw.rectangle([area[0] * width, area[1] * height, area[2] * width, area[3] * height], fill=paper)
    for text, x, y, size in lines:
        font = ImageFont.load_default(size=max(6.0, size * height))
        draw.text((x * width, y * height), text, fill=ink, font=font)
    return np.asarray(image, float) / 255


def barcode(picture: Points, rng: np.random.Generator, *, area: tuple[float, float, float, float]) -> Points:
    height, width = picture.shape[:2]
    image = Image.fromarray((picture * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, end = area[0] * width, area[2] * width
    while x < end:
        bar = float(rng.integers(1, 4)) * max(1.0, width / 512)
        draw.rectangle([x, area[1] * height, min(x + bar, end), area[3] * height], fill="#161616")
        x += bar + float(rng.integers(1, 4)) * max(1.0, width / 512)
    return np.asarray(image, float) / 255


def painting(rng: np.random.Generator, *, tones: Sequence[str], height: int = 512, width: int = 400) -> Points:
    """Return an abstract landscape: bands of hills under a sky with a sun."""
    y, x = np.mgrid[0:height, 0:width] / height
    sky = np.asarray(hue(tones[0]))
    picture = np.ones((height, width, 3)) * sky * (0.92 + 0.12 * y[..., None])
    sun = (np.hypot(x - 0.5, y - 0.26) < 0.11)[..., None]
    picture = np.where(sun, hue(tones[1]), picture)
    for k, tone in enumerate(tones[2:]):
        a, b, c = rng.uniform(0, 6, 3)
        edge = 0.42 + 0.15 * k + 0.06 * np.sin(x * 5 + a) + 0.03 * np.sin(x * 13 + b) + 0.01 * np.sin(x * 37 + c)
        picture = np.where((y > edge)[..., None], hue(tone), picture)
    brush = np.asarray(fractal_noise(height, width, rng, cells=50, octaves=3), float)
    return np.asarray((picture * (1 + 0.035 * brush[..., None])).clip(0, 1))
