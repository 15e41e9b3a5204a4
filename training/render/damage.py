"""What goes wrong with goods: pieces, chips, dents, crushed corners, cracks, stains and scratches.

Meshes are changed by moving vertices or leaving cells out, pictures (height, width, 3 in [0, 1]) by painting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.photo_scene import fractal_noise
from training.render.meshes import Cells, Mesh, Points, Shell


def wobble(points: Points, rng: np.random.Generator, *, size: float, amount: float) -> Points:
    """Return points moved by a smooth field of waves of about `size` cm, so that straight cuts turn ragged."""
    moved = np.zeros_like(points)
    for octave in range(4):
        waves = rng.normal(size=(3, 3)) * 2.2 * 2**octave / size
        phase = rng.uniform(0, 2 * np.pi, 3)
        moved = moved + amount * 0.6**octave * np.sin(points @ waves.T + phase)
    return np.asarray(points + moved)


def pieces(
    shell: Shell, rng: np.random.Generator, *, n: int, about: Sequence[float], spread: float
) -> NDArray[np.intp]:
    """Return for each cell of the shell the piece it belongs to; pieces gather about the place of the blow."""
    centres = shell.centres()
    size = float(np.ptp(centres.reshape(-1, 3), axis=0).max())
    flat = centres.reshape(-1, 3)
    blow = np.asarray(about, float)
    seeds = flat[rng.choice(len(flat), 400)]
    order = np.argsort(np.linalg.norm(seeds - blow, axis=1) + rng.exponential(spread * size, len(seeds)))
    chosen: list[Points] = []
    for seed in seeds[order]:
        if all(np.linalg.norm(seed - other) > 0.13 * size for other in chosen):
            chosen.append(seed)
        if len(chosen) == n:
            break
    warped = wobble(centres, rng, size=size * 0.5, amount=size * 0.018)
    distance = np.stack([np.linalg.norm(warped - seed, axis=-1) for seed in chosen])
    return np.asarray(distance.argmin(0))


def chip(shell: Shell, rng: np.random.Generator, *, at: Sequence[float], radius: float) -> Cells:
    """Return the cells that are left when a bite of `radius` cm is out of the shell."""
    warped = wobble(shell.centres(), rng, size=radius * 1.5, amount=radius * 0.14)
    return np.asarray(np.linalg.norm(warped - np.asarray(at, float), axis=-1) > radius)


def dent(mesh: Mesh, *, at: Sequence[float], radius: float, push: Sequence[float]) -> Mesh:
    """Return the mesh pushed in about a place by the vector `push`."""
    distance = np.linalg.norm(mesh.vertices - np.asarray(at, float), axis=1) / radius
    share = np.where(distance < 1, (1 - distance**2).clip(0) ** 1.5, 0.0)
    return replace(mesh, vertices=mesh.vertices + share[:, None] * np.asarray(push, float))


def crush(mesh: Mesh, rng: np.random.Generator, *, at: Sequence[float], radius: float, depth: float) -> Mesh:
    """Return the mesh with a corner folded in towards its middle, in creases."""
    corner = np.asarray(at, float)
    inward = mesh.vertices.mean(0) - corner
    inward /= np.linalg.norm(inward)
    distance = np.linalg.norm(mesh.vertices - corner, axis=1) / radius
    share = np.clip(1 - distance, 0, 1)
    folds = np.zeros(len(mesh.vertices))
    for _ in range(5):
        folds = folds + np.abs(np.sin(mesh.vertices @ rng.normal(size=3) * 5.5 / radius + rng.uniform(0, 6)))
    pushed = share**0.8 * depth * (0.75 + 0.35 * (folds / 5 - 0.5))
    sideways = rng.normal(size=3) * 0.22 * depth
    vertices = (
        mesh.vertices + pushed[:, None] * inward + (share**1.5)[:, None] * sideways * (folds / 5 - 0.5)[..., None]
    )
    vertices[:, 2] = np.maximum(vertices[:, 2], min(0.0, float(mesh.vertices[:, 2].min())))
    return replace(mesh, vertices=vertices, smooth=False)


def crack_paths(
    rng: np.random.Generator, *, start: tuple[float, float], heading: float, length: float, branches: int = 3
) -> list[list[tuple[float, float]]]:
    """Return ragged polylines in picture shares: a main crack and its branches."""
    paths: list[list[tuple[float, float]]] = []
    todo = [(start, heading, length, branches)]
    while todo:
        (x, y), angle, left, forks = todo.pop()
        path = [(x, y)]
        step = max(left / 26, 0.004)
        fork_at = set(rng.integers(4, 22, forks).tolist())
        for k in range(26):
            angle += rng.normal(0, 0.24)
            x, y = x + step * np.cos(angle), y + step * np.sin(angle)
            path.append((float(x), float(y)))
            if k in fork_at:
                todo.append(
                    (
                        (x, y),
                        angle + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0),
                        left * 0.45,
                        forks - 2 if forks > 2 else 0,
                    )
                )
        paths.append(path)
    return paths


def cracked(
    picture: Points,
    paths: Sequence[Sequence[tuple[float, float]]],
    *,
    width: float,
    tone: float = 0.12,
    halo: float = 0.35,
) -> Points:
    """Return the picture with the cracks drawn in, dark along the line and a little soiled about it."""
    height, across = picture.shape[:2]
    line = Image.new("L", (across * 2, height * 2), 0)
    draw = ImageDraw.Draw(line)
    for path in paths:
        dots = [(x * across * 2, y * height * 2) for x, y in path]
        for k, (a, b) in enumerate(pairwise(dots)):
            taper = 1 - 0.65 * k / len(dots)
            draw.line([a, b], fill=255, width=max(1, round(2 * width * taper)))
    sharp = np.asarray(line.resize((across, height), Image.Resampling.LANCZOS), float)[..., None] / 255
    soft = (
        np.asarray(line.resize((across, height)).filter(ImageFilter.GaussianBlur(width * 2.5)), float)[..., None] / 255
    )
    out = picture * (1 - halo * np.clip(soft * 2, 0, 1))
    return np.asarray(out * (1 - sharp) + tone * sharp)


def stained(
    picture: Points,
    rng: np.random.Generator,
    *,
    at: tuple[float, float],
    radius: float,
    colour: Sequence[float],
    strength: float = 0.7,
) -> Points:
    """Return the picture with a blotch that is darkest at its ragged edge, as a dried liquid is."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    noise = np.asarray(fractal_noise(height, width, rng, cells=5, octaves=4), float)
    distance = np.hypot(x / width - at[0], (y / height - at[1]) * height / width) / radius + 0.16 * noise
    inside = 1 / (1 + np.exp((distance - 1) * 26))
    edge = np.exp(-(((distance - 0.96) / 0.07) ** 2))
    share = (strength * (0.55 * inside + 0.5 * edge)).clip(0, 1)[..., None]
    return np.asarray(picture * (1 - share) + picture * np.asarray(colour, float) * share)


def scratched(picture: Points, rng: np.random.Generator, *, n: int, tone: float, length: float = 0.2) -> Points:
    """Return the picture with fine straight scratches."""
    height, width = picture.shape[:2]
    line = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(line)
    for _ in range(n):
        x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.normal(0.6, 0.5)
        reach = rng.uniform(0.2, 1) * length * width
        draw.line(
            [(x, y), (x + reach * np.cos(angle), y + reach * np.sin(angle))], fill=int(rng.integers(90, 255)), width=1
        )
    share = np.asarray(line, float)[..., None] / 255
    return np.asarray(picture * (1 - share) + tone * share)


def spotted(picture: Points, rng: np.random.Generator, *, colours: Sequence[Sequence[float]], share: float) -> Points:
    """Return the picture with mould: furry spots that grow into one another over `share` of it."""
    height, width = picture.shape[:2]
    out = picture
    noise = np.asarray(fractal_noise(height, width, rng, cells=3, octaves=4), float)
    for k, colour in enumerate(colours):
        limit = float(np.quantile(noise, 1 - share * 0.72**k))
        mask = (1 / (1 + np.exp(-(noise - limit) * 9)))[..., None]
        out = out * (1 - mask) + np.asarray(colour, float) * mask
    return np.asarray(out)
