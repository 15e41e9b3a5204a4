"""What a photo shows, as far as drawing damage needs it: its object, its background, rough shapes and noise.

Knows nothing of kinds of damage, files or classifiers. Photos are (height, width, 3) in [0, 255].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

Pixels = NDArray[np.floating[Any]]
Mask = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scene:
    """A photo with what is known of its object. `object_mask` is None where no plain background shows."""

    pixels: Pixels
    object_mask: NDArray[np.bool_] | None
    rng: np.random.Generator


@dataclass(frozen=True)
class DamagedPhoto:
    """A photo with drawn damage. `mask` is (height, width) in [0, 1], 1 where harm can be seen."""

    pixels: Pixels
    mask: Mask
    kind: str


def harmed(pixels: Pixels, mask: Mask, kind: str) -> DamagedPhoto:
    """Return the damaged photo, its values brought back into their ranges."""
    return DamagedPhoto(np.clip(pixels, 0, 255).astype(np.float32), np.clip(mask, 0, 1).astype(np.float32), kind)


def fractal_noise(height: int, width: int, rng: np.random.Generator, *, cells: int, octaves: int = 3) -> Mask:
    """Return smooth fractal noise, mean 0, standard deviation 1."""
    total = np.zeros((height, width), np.float32)
    long_side = max(height, width)
    for octave in range(octaves):
        n = cells * 2**octave
        shape = (max(2, round(n * height / long_side)), max(2, round(n * width / long_side)))
        grid = Image.fromarray(rng.normal(size=shape).astype(np.float32))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 2**octave
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


def blur(values: Mask, sigma: float) -> Mask:
    return np.asarray(ndimage.gaussian_filter(values, sigma), np.float32)


def find_object(pixels: Pixels) -> NDArray[np.bool_] | None:
    """Return the mask of the object on a plain background, or None where the background is not plain."""
    edge = np.concatenate(
        [
            pixels[:4].reshape(-1, 3),
            pixels[-4:].reshape(-1, 3),
            pixels[:, :4].reshape(-1, 3),
            pixels[:, -4:].reshape(-1, 3),
        ]
    )
    middle = np.median(edge, axis=0)
    spread = np.abs(edge - middle).sum(1)
    if np.percentile(spread, 80) > 90:
        return None
    threshold = max(45.0, 1.3 * float(np.percentile(spread, 85)))
    smooth = np.stack([blur(pixels[..., c], 1.5) for c in range(3)], axis=-1)
    found = np.abs(smooth - middle).sum(-1) > threshold
    labels, n_parts = ndimage.label(ndimage.binary_opening(found, iterations=2))
    if n_parts == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    largest = ndimage.binary_fill_holes(labels == 1 + int(sizes.argmax()))
    share = float(largest.mean())
    return np.asarray(largest, np.bool_) if 0.04 < share < 0.85 else None


def fill_background(
    pixels: Pixels, hidden: NDArray[np.bool_], keep_out: NDArray[np.bool_], rng: np.random.Generator
) -> Pixels:
    """Return the photo with `hidden` painted over by the nearest pixels outside `keep_out`."""
    if keep_out.all():
        return pixels.copy()
    rows, columns = ndimage.distance_transform_edt(keep_out, return_distances=False, return_indices=True)
    filled = pixels[rows, columns]
    smooth = np.stack([blur(filled[..., c], 5.0) for c in range(3)], axis=-1)
    outside = ~keep_out
    grain = pixels[outside] - np.stack([blur(pixels[..., c], 2.0) for c in range(3)], axis=-1)[outside]
    smooth += grain[rng.integers(0, len(grain), size=pixels.shape[:2])]
    soft = blur(hidden.astype(np.float32), 0.8)[..., None]
    return pixels * (1 - soft) + smooth * soft


def place(scene: Scene, *, at_edge: bool = False) -> tuple[int, int]:
    """Return a row and column on the object (on its rim if `at_edge`), or anywhere central."""
    height, width = scene.pixels.shape[:2]
    mask = scene.object_mask
    if mask is not None:
        if at_edge:
            mask = mask & ~ndimage.binary_erosion(mask, iterations=3)
        points = np.argwhere(mask)
        if len(points):
            row, column = points[scene.rng.integers(len(points))]
            return int(row), int(column)
    low, high = (0.05, 0.95) if at_edge else (0.12, 0.88)
    return int(scene.rng.uniform(low, high) * height), int(scene.rng.uniform(low, high) * width)


def blob(scene: Scene, *, radius: float, rough: float = 0.35, at_edge: bool = False) -> Mask:
    """Return a rough-edged blob (height, width) in [0, 1] of about `radius` pixels, stretched and turned."""
    height, width = scene.pixels.shape[:2]
    rng = scene.rng
    row, column = place(scene, at_edge=at_edge)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 2.2)
    u = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
    v = -(x - column) * np.sin(angle) + (y - row) * np.cos(angle)
    distance = np.sqrt((u / stretch) ** 2 + (v * stretch**0.3) ** 2) / radius
    cells = int(np.clip(2.5 * max(height, width) / radius / 2, 4, 48))
    distance = distance + rough * fractal_noise(height, width, rng, cells=cells)
    return np.asarray(np.clip((1 - distance) * radius / 2.0 + 0.5, 0, 1), np.float32)


def keep_on_object(scene: Scene, mask: Mask) -> Mask:
    return mask if scene.object_mask is None else np.asarray(mask * scene.object_mask)


def draw_radius(scene: Scene, low: float, high: float) -> float:
    """Return a random radius in pixels, `low` to `high` of the long side, small ones likelier."""
    return float(np.exp(scene.rng.uniform(np.log(low), np.log(high))) * max(scene.pixels.shape[:2]))


def wander(scene: Scene, *, length: float, bend: float) -> list[tuple[float, float]]:
    """Return points (x, y) of a wandering line of `length` pixels; `bend` is the turn a step, radians."""
    rng = scene.rng
    row, column = place(scene, at_edge=bool(rng.random() < 0.5))
    heading = rng.uniform(0, 2 * np.pi)
    if scene.object_mask is not None:
        middle = np.argwhere(scene.object_mask).mean(0)
        heading = float(np.arctan2(middle[0] - row, middle[1] - column)) + rng.normal(0, 0.6)
    points = [(float(column), float(row))]
    step = max(3.0, length / 40)
    for _ in range(max(2, int(length / step))):
        heading += rng.normal(0, bend)
        x, y = points[-1]
        points.append((x + step * float(np.cos(heading)), y + step * float(np.sin(heading))))
    return points


def draw_lines(scene: Scene, lines: list[list[tuple[float, float]]], widths: list[float]) -> Mask:
    """Return the lines drawn with soft edges, (height, width) in [0, 1]."""
    height, width = scene.pixels.shape[:2]
    canvas = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(canvas)
    for points, thickness in zip(lines, widths, strict=True):
        for i, (start, end) in enumerate(itertools.pairwise(points)):
            taper = 1 - 0.8 * i / len(points)
            wide = max(1, round(2 * thickness * taper * scene.rng.uniform(0.6, 1.3)))
            draw.line([(2 * start[0], 2 * start[1]), (2 * end[0], 2 * end[1])], fill=255, width=wide)
    small = canvas.resize((width, height), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.5))
    return np.asarray(small, np.float32) / 255


def mean_colour(scene: Scene, mask: Mask) -> Pixels:
    """Return the mean colour under the mask, shape (3,)."""
    weight = mask.sum() + 1e-6
    return np.asarray((scene.pixels * mask[..., None]).sum((0, 1)) / weight, np.float32)
