"""Damage as boxes and packages show it: crushed corners, creases, punctures and wet patches.

Knows nothing of files, encoders or classifiers. Photos are float32 arrays (height, width, 3) in [0, 255].
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.photo_scene import (
    DamagedPhoto,
    Mask,
    Pixels,
    Scene,
    blob,
    blur,
    draw_lines,
    draw_radius,
    fractal_noise,
    harmed,
    keep_on_object,
    place,
)

_CORNER_TRIES = 12


def crush(scene: Scene) -> DamagedPhoto:
    """Push a corner or an edge in: facets shade it, and where an object is known its outline gives way."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    row, column = _corner(scene)
    radius = draw_radius(scene, 0.06, 0.28)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    near = np.clip(1.15 - np.hypot(x - column, y - row) / radius, 0, 1)
    area = blur(np.clip(near + 0.12 * near * fractal_noise(height, width, rng, cells=10), 0, 1), 0.06 * radius)
    facets = _facets(scene, (row, column), radius)
    middle_row, middle_column = _middle(scene)
    angle = np.arctan2(middle_row - row, middle_column - column) + rng.normal(0, 0.5)
    push = rng.uniform(0.15, 0.6) * radius
    slope_y, slope_x = np.gradient(blur(facets, 1.0))
    scale = max(float(np.hypot(slope_x, slope_y).max()), 1e-3)
    jolt = rng.uniform(1, 6) / scale
    from_y = y - area * push * np.sin(angle) + area * jolt * slope_y
    from_x = x - area * push * np.cos(angle) + area * jolt * slope_x
    warped = _sample(scene.pixels, from_y, from_x)
    light = rng.uniform(0, 2 * np.pi)
    shade = (slope_x * np.cos(light) + slope_y * np.sin(light)) / scale
    tone = area * (rng.uniform(0.1, 0.5) * facets + rng.uniform(0.2, 0.9) * shade)
    tone = keep_on_object(scene, tone)
    return harmed(warped * (1 + np.clip(tone, -0.8, 0.8))[..., None], (area > 0.25).astype(np.float32), "crush")


def crease(scene: Scene) -> DamagedPhoto:
    """Fold the surface along a few almost straight lines: one side of each turns darker, the ridge wears pale."""
    rng = scene.rng
    size = max(scene.pixels.shape[:2])
    row, column = place(scene, at_edge=bool(rng.random() < 0.5))
    heading = rng.uniform(0, 2 * np.pi)
    tone: Mask = np.zeros(scene.pixels.shape[:2], np.float32)
    ridges: Mask = np.zeros_like(tone)
    for _ in range(int(rng.integers(1, 6))):
        turn, reach = heading + rng.normal(0, 0.7), rng.uniform(0.06, 0.4) * size
        start = (column + rng.normal(0, 0.05 * size), row + rng.normal(0, 0.05 * size))
        line = [
            (
                start[0] + t * reach * np.cos(turn) + rng.normal(0, 0.012 * size),
                start[1] + t * reach * np.sin(turn) + rng.normal(0, 0.012 * size),
            )
            for t in (0, 0.33, 0.66, 1.0)
        ]
        thin = draw_lines(scene, [line], [rng.uniform(0.8, 2.5)])
        aside = rng.uniform(2, 10)
        shift = (round(float(aside * np.cos(turn))), round(float(-aside * np.sin(turn))))
        lit, dark = np.roll(thin, shift, (0, 1)), np.roll(thin, (-shift[0], -shift[1]), (0, 1))
        tone = tone + rng.uniform(1, 4) * (blur(lit, aside / 2) - blur(dark, aside / 2))
        ridges = np.maximum(ridges, thin)
    tone, ridges = keep_on_object(scene, tone), keep_on_object(scene, ridges)
    worn = (
        ridges
        * rng.uniform(0, 0.7)
        * (fractal_noise(tone.shape[0], tone.shape[1], rng, cells=50) > rng.uniform(-1.5, 0.5))
    )[..., None]
    pixels = scene.pixels * (1 + np.clip(rng.uniform(0.4, 1.2) * tone, -0.7, 0.7))[..., None]
    pixels = pixels * (1 - worn) + rng.uniform(130, 235) * worn
    seen = np.maximum(ndimage.maximum_filter(ridges, 9), np.abs(tone) > 0.2)
    return harmed(pixels, seen, "crease")


def soak(scene: Scene) -> DamagedPhoto:
    """Wet a large part: it darkens, and the water leaves a rim."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    area = blob(scene, radius=draw_radius(scene, 0.1, 0.4), rough=rng.uniform(0.15, 0.5), at_edge=rng.random() < 0.7)
    area = keep_on_object(scene, blur(area, rng.uniform(1, 4)))
    rim = np.clip(area - ndimage.minimum_filter(blur(area, 1.5), int(rng.integers(5, 13))), 0, 1)
    patchy = np.clip(0.8 + 0.25 * fractal_noise(height, width, rng, cells=12), 0.2, 1)
    dye = rng.uniform(0.35, 0.8) * np.array([1.0, rng.uniform(0.85, 1.02), rng.uniform(0.7, 1.02)])
    strength = (area * patchy * rng.uniform(0.4, 0.9) + rim * rng.uniform(0, 0.5))[..., None]
    strength = np.clip(strength, 0, 1)
    return harmed(
        scene.pixels * (1 - strength) + scene.pixels * dye * strength, (area > 0.3).astype(np.float32), "soak"
    )


def puncture(scene: Scene) -> DamagedPhoto:
    """Pierce the surface: a dark hole whose torn flaps stand up."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    hole = blob(scene, radius=draw_radius(scene, 0.012, 0.07), rough=rng.uniform(0.3, 0.8))
    hole = keep_on_object(scene, hole)
    around = np.clip(ndimage.maximum_filter(hole, int(rng.integers(7, 19))) - hole, 0, 1)
    flaps = keep_on_object(
        scene, blur(around * (fractal_noise(height, width, rng, cells=45) > rng.uniform(-0.6, 0.6)), 0.7)
    )
    shift = (int(rng.integers(-4, 5)), int(rng.integers(-4, 5)))
    cast = np.roll(blur(flaps, 1.5), shift, (0, 1)) * (1 - flaps)
    pixels: Pixels = scene.pixels * (1 - 0.6 * cast[..., None])
    flap = flaps[..., None]
    pixels = pixels * (1 - flap) + (0.45 * scene.pixels + rng.uniform(50, 140)) * flap
    inside = hole[..., None] * rng.uniform(0.75, 1.0)
    pixels = pixels * (1 - inside) + rng.uniform(5, 60) * inside
    return harmed(pixels, np.maximum(hole, flaps), "puncture")


def _corner(scene: Scene) -> tuple[int, int]:
    """Return a row and column on the rim, far from the middle: likely a corner."""
    middle = np.array(_middle(scene))
    tries = [place(scene, at_edge=True) for _ in range(_CORNER_TRIES if scene.rng.random() < 0.6 else 1)]
    return max(tries, key=lambda at: float(np.hypot(*(np.array(at) - middle))))


def _middle(scene: Scene) -> tuple[float, float]:
    if scene.object_mask is None:
        height, width = scene.pixels.shape[:2]
        return height / 2, width / 2
    row, column = np.argwhere(scene.object_mask).mean(0)
    return float(row), float(column)


def _facets(scene: Scene, at: tuple[int, int], radius: float) -> Mask:
    """Return flat patches around a point, each with its own tone in [-1, 1], as crumpled board has."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    n_facets = int(rng.integers(4, 12))
    rows, columns = at[0] + rng.normal(0, 0.6 * radius, n_facets), at[1] + rng.normal(0, 0.6 * radius, n_facets)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bent = 0.15 * radius * fractal_noise(height, width, rng, cells=14)
    distance = np.stack([np.hypot(y - r + bent, x - c - bent) for r, c in zip(rows, columns, strict=True)])
    return np.asarray(rng.uniform(-1, 1, n_facets)[distance.argmin(0)], np.float32)


def _sample(pixels: Pixels, rows: Mask, columns: Mask) -> Pixels:
    return np.stack(
        [ndimage.map_coordinates(pixels[..., c], [rows, columns], order=1, mode="nearest") for c in range(3)], axis=-1
    )
