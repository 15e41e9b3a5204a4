"""From traced light to the photo that was sent: denoising, exposure, shake, grain, JPEG.

Knows nothing of scenes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from training.photo_scene import fractal_noise
from training.render.meshes import Points


@dataclass(frozen=True)
class Handling:
    """How the photo was taken and sent. exposure in stops over a metered one; shake and blur in pixels; tint as rgb."""

    exposure: float = 0.0
    shake: float = 0.0
    shake_angle: float = 20.0
    blur: float = 0.0
    grain: float = 0.012
    vignette: float = 0.18
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    studio: bool = False
    quality: int = 85


def denoised(layers: dict[str, Points], *, reach: int = 4) -> Points:
    """Return the colour (h, w, 3) averaged with neighbours that show the same surface.

    Source: cross-bilateral filter on albedo, normal and depth, weights as in Dammertz et al., HPG 2010.
    """
    colour = np.nan_to_num(layers["colour"].astype(np.float64), posinf=0.0)
    smooth = ndimage.median_filter(colour, size=(3, 3, 1))
    colour = np.minimum(colour, 2.5 * smooth + 0.05)
    tone = np.log1p(ndimage.gaussian_filter(colour, (1.2, 1.2, 0)))
    albedo, normal = np.nan_to_num(layers["albedo"]), np.nan_to_num(layers["normal"])
    depth = layers["depth"] / (np.median(layers["depth"]) + 1e-6)
    total, weights = np.zeros_like(colour), np.zeros((*colour.shape[:2], 1))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx > reach * reach + 1:
                continue

            def at(values: Points, dy: int = dy, dx: int = dx) -> Points:
                return np.roll(values, (dy, dx), axis=(0, 1))

            far = ((at(albedo) - albedo) ** 2).sum(-1, keepdims=True) / 0.0035
            far += ((at(normal) - normal) ** 2).sum(-1, keepdims=True) / 0.04
            far += (at(depth) - depth) ** 2 / 0.002
            far += ((at(tone) - tone) ** 2).sum(-1, keepdims=True) / 0.03
            weight = np.exp(-far - (dy * dy + dx * dx) / (0.5 * reach * reach))
            total += weight * at(colour)
            weights += weight
    return np.asarray(total / weights)


def enlarged(light: Points, size: tuple[int, int]) -> Points:
    """Return the light (h, w, 3) at `size`, width first, never below zero."""
    width, height = size
    factors = (height / light.shape[0], width / light.shape[1], 1)
    return np.asarray(np.maximum(ndimage.zoom(light, factors, order=3, mode="nearest"), 0.0))


def developed(light: Points, handling: Handling, rng: np.random.Generator, *, albedo: Points) -> Points:
    """Return the display picture in [0, 1] of linear light (h, w, 3); pale surroundings are metered paler."""
    bright = float(np.quantile(light.mean(-1), 0.60 if handling.studio else 0.5))
    pale = float(np.median(albedo.mean(-1)))
    goal = 0.94 if handling.studio else min(0.12 + 0.42 * pale, 0.42)
    exposed = light * np.asarray(handling.tint) * goal / max(bright, 1e-4) * 2.0**handling.exposure
    if handling.blur:
        exposed = ndimage.gaussian_filter(exposed, (handling.blur, handling.blur, 0))
    if handling.shake:
        exposed = _shaken(exposed, handling.shake, handling.shake_angle)
    height, width = exposed.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    off = np.hypot((x / width - 0.5), (y / height - 0.5)) ** 2
    exposed = exposed * (1 - handling.vignette * 2 * off[..., None])
    if handling.studio:
        display = np.where(exposed < 0.8, exposed, 1 - 0.2 * np.exp(-(exposed - 0.8) / 0.2))
    else:
        display = exposed * (1 + exposed / 6.0) / (1 + exposed)
        display = display * 1.28
    display = np.where(display <= 0.0031308, 12.92 * display, 1.055 * np.maximum(display, 1e-6) ** (1 / 2.4) - 0.055)
    grain = rng.normal(0, 1, (height, width, 1)) * 0.75 + rng.normal(0, 1, (height, width, 3)) * 0.5
    blotch = np.stack([fractal_noise(height, width, rng, cells=110, octaves=1) for _ in range(3)], -1)
    strength = handling.grain * (1.25 - 0.6 * display.clip(0, 1))
    return np.asarray((display + strength * (grain + 0.4 * blotch)).clip(0, 1))


def _shaken(light: Points, length: float, angle: float) -> Points:
    steps = np.linspace(-0.5, 0.5, max(3, round(length * 1.5)))
    a = np.radians(angle)
    path = [(length * s * np.sin(a) + 0.12 * length * np.sin(5 * s), length * s * np.cos(a)) for s in steps]
    return np.asarray(sum(ndimage.shift(light, (dy, dx, 0), order=1, mode="nearest") for dy, dx in path) / len(path))


def jpeg(picture: Points, *, quality: int = 85) -> bytes:
    """Return the picture in [0, 1] as a JPEG without metadata."""
    out = io.BytesIO()
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
