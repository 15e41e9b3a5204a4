"""Synthetic damage: an intact photo goes in, a damaged one and the mask of the damage come out.

Breaks, bites, splits, cracks, tears, holes, dents, crumples, stains, scuffs and scratches, and what befalls boxes
(`training.carton_damage`), are drawn so that a damage head sees harm on many kinds of goods, not only on those that
happen to be photographed broken.
Harmless changes (shadows, rulers, stickers, colour) are drawn by `training.harmless_changes`, on both alike.

Knows nothing of files, encoders or classifiers. Photos are float32 arrays (height, width, 3) in [0, 255].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.carton_damage import crease, crush, puncture, soak
from training.photo_scene import (
    DamagedPhoto,
    Mask,
    Pixels,
    Scene,
    blob,
    blur,
    draw_lines,
    draw_radius,
    fill_background,
    find_object,
    fractal_noise,
    harmed,
    keep_on_object,
    mean_colour,
    place,
    wander,
)


def _cut(scene: Scene, object_mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the part beyond a ragged cut and the direction across it, shape (2,), x then y."""
    rng = scene.rng
    height, width = object_mask.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.array([np.cos(angle), np.sin(angle)])
    ragged = fractal_noise(height, width, rng, cells=int(rng.integers(4, 28))) * rng.uniform(0.5, 9)
    if rng.random() < 0.35:
        row, column = place(scene, at_edge=True)
        radius = rng.uniform(0.12, 0.4) * np.sqrt(object_mask.sum())
        part = object_mask & (np.hypot(x - column, y - row) + ragged < radius)
    else:
        along = x * across[0] + y * across[1]
        threshold = np.quantile(along[object_mask], 1 - rng.uniform(0.06, 0.45))
        part = object_mask & (along + ragged > threshold)
        if rng.random() < 0.5:
            labels, n_parts = ndimage.label(part)
            if n_parts > 1:
                sizes = np.bincount(labels.ravel())
                large = [i for i in range(1, n_parts + 1) if sizes[i] > 0.01 * object_mask.sum()]
                if large:
                    part = labels == large[int(rng.integers(len(large)))]
    return np.asarray(part, np.bool_), across


def _break(scene: Scene) -> DamagedPhoto | None:
    """Take a part of the object away, or move it aside."""
    mask, rng = scene.object_mask, scene.rng
    if mask is None:
        return None
    part, across = _cut(scene, mask)
    rest = mask & ~part
    if not 0.01 < part.sum() / mask.sum() < 0.6:
        return None
    wide = ndimage.binary_dilation(mask, iterations=4)
    hidden = ndimage.binary_dilation(part, iterations=4) & ~rest
    pixels = fill_background(scene.pixels, hidden, wide, rng)
    near_cut = np.asarray(ndimage.distance_transform_edt(~part), np.float32)
    rim = rest & (near_cut < rng.uniform(1.5, 7))
    if rng.random() < 0.6:
        shade = 1 + rng.uniform(-0.45, 0.45) + 0.15 * fractal_noise(mask.shape[0], mask.shape[1], rng, cells=60)
        soft = blur(rim.astype(np.float32), 0.8)[..., None]
        pixels = pixels * (1 - soft) + pixels * shade[..., None] * soft
    visible = (rest & (near_cut < 14)) | (part & (ndimage.distance_transform_edt(part) < 8))
    if rng.random() < 0.4:
        gap = rng.uniform(3, 0.12 * max(mask.shape))
        slide = rng.normal(0, 0.3) * gap
        shift = across * gap + np.array([-across[1], across[0]]) * slide
        turn = rng.normal(0, 6)
        image = Image.fromarray(np.clip(scene.pixels, 0, 255).astype(np.uint8))
        stencil = Image.fromarray((part * 255).astype(np.uint8))
        rows, columns = np.nonzero(part)
        centre = (float(columns.mean()), float(rows.mean()))
        move = (round(float(shift[0])), round(float(shift[1])))
        bilinear = Image.Resampling.BILINEAR
        moved = np.asarray(image.rotate(turn, bilinear, center=centre, translate=move), np.float32)
        soft = np.asarray(stencil.rotate(turn, bilinear, center=centre, translate=move), np.float32)[..., None] / 255
        pixels = pixels * (1 - soft) + moved * soft
        kind = "split"
    else:
        kind = "broken_off"
    return harmed(pixels, visible.astype(np.float32), kind)


def _crack(scene: Scene) -> DamagedPhoto:
    rng = scene.rng
    size = max(scene.pixels.shape[:2])
    lines, widths = [], []
    for _ in range(int(rng.integers(1, 4))):
        main = wander(scene, length=rng.uniform(0.12, 0.6) * size, bend=rng.uniform(0.05, 0.5))
        lines.append(main)
        widths.append(float(np.exp(rng.uniform(np.log(0.8), np.log(6)))))
        for _ in range(int(rng.integers(0, 3))):
            x, y = main[int(rng.integers(len(main)))]
            heading, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.15) * size
            bend = rng.normal(0, 4, 2)
            middle = (x + reach / 2 * np.cos(heading) + bend[0], y + reach / 2 * np.sin(heading) + bend[1])
            lines.append([(x, y), middle, (x + reach * np.cos(heading), y + reach * np.sin(heading))])
            widths.append(widths[-1] * 0.7)
    mask = keep_on_object(scene, draw_lines(scene, lines, widths))
    depth = mask[..., None] * rng.uniform(0.35, 0.9)
    dark = scene.pixels * rng.uniform(0.05, 0.4) if rng.random() < 0.8 else scene.pixels * 0.4 + 150
    pixels = scene.pixels * (1 - depth) + dark * depth
    lit = np.roll(mask, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), (0, 1)) * (1 - mask)
    pixels = pixels + lit[..., None] * rng.uniform(0, 50)
    return harmed(pixels, ndimage.maximum_filter(mask, 7), "crack")


def _tear(scene: Scene) -> DamagedPhoto:
    """Rip the surface open: another layer shows, with a pale fringe and a shadow."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    if rng.random() < 0.5:
        line = wander(scene, length=rng.uniform(0.08, 0.4) * max(height, width), bend=0.35)
        lines = draw_lines(scene, [line], [rng.uniform(4, 18)])
        opened: Mask = np.clip((blur(lines, 2.0) + 0.12 * fractal_noise(height, width, rng, cells=50) - 0.4) * 4, 0, 1)
    else:
        opened = blob(
            scene,
            radius=draw_radius(scene, 0.015, 0.12),
            rough=rng.uniform(0.25, 0.7),
            at_edge=rng.random() < 0.5,
        )
    opened = keep_on_object(scene, opened.astype(np.float32))
    colour = mean_colour(scene, opened)
    choice = rng.random()
    if choice < 0.35:
        layer: Pixels = np.full_like(scene.pixels, rng.uniform(0, 50))
    elif choice < 0.75:
        layer = np.broadcast_to(colour * rng.uniform(0.5, 1.0) + rng.uniform(0, 120), scene.pixels.shape).copy()
        period, angle = rng.uniform(4, 14), rng.uniform(0, np.pi)
        y, x = np.mgrid[:height, :width]
        layer += (rng.uniform(0, 25) * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period))[..., None]
    else:
        layer = np.roll(scene.pixels, (int(rng.integers(height)), int(rng.integers(width))), (0, 1)).copy()
    layer = layer + 8 * fractal_noise(height, width, rng, cells=90)[..., None]
    fringe = np.clip(ndimage.maximum_filter(opened, int(rng.integers(3, 9))) - opened, 0, 1)
    fringe = fringe * (fractal_noise(height, width, rng, cells=70) > rng.uniform(-1, 0.7))
    fringe = keep_on_object(scene, blur(fringe.astype(np.float32), 0.6))
    shadow = np.roll(blur(opened, 3.0), (int(rng.integers(-4, 5)), int(rng.integers(-4, 5))), (0, 1)) * (1 - opened)
    pixels = scene.pixels * (1 - rng.uniform(0, 0.5) * shadow[..., None])
    pixels = pixels * (1 - fringe[..., None]) + (pixels * 0.4 + rng.uniform(60, 150)) * fringe[..., None]
    pixels = pixels * (1 - opened[..., None]) + layer * opened[..., None]
    return harmed(pixels, np.maximum(opened, fringe), "tear")


def _dent(scene: Scene) -> DamagedPhoto:
    """Crumple or crush: displace pixels by a creased height field and shade it from one side."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    radius = draw_radius(scene, 0.05, 0.3)
    area = blur(blob(scene, radius=radius, rough=0.2, at_edge=rng.random() < 0.6), radius * 0.25)
    cells = int(np.clip(rng.uniform(1.0, 3.5) * max(height, width) / radius, 4, 60))
    relief = fractal_noise(height, width, rng, cells=cells, octaves=2)
    if rng.random() < 0.7:
        relief = -np.abs(relief)
    relief = blur(relief, rng.uniform(0.6, 2.0)) * area
    slope_y, slope_x = np.gradient(relief)
    scale = max(float(np.hypot(slope_x, slope_y).max()), 1e-3)
    bend = rng.uniform(2, 12) / scale
    y, x = np.mgrid[:height, :width].astype(np.float32)
    from_y, from_x = y + bend * slope_y, x + bend * slope_x
    if rng.random() < 0.6:
        push_angle, push = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5) * radius
        if scene.object_mask is not None:
            middle = np.argwhere(scene.object_mask).mean(0)
            where = (area[..., None] * np.stack([y, x], -1)).sum((0, 1)) / (area.sum() + 1e-6)
            push_angle = float(np.arctan2(middle[0] - where[0], middle[1] - where[1]))
        from_y = from_y - area * push * np.sin(push_angle)
        from_x = from_x - area * push * np.cos(push_angle)
    warped = np.stack(
        [ndimage.map_coordinates(scene.pixels[..., c], [from_y, from_x], order=1, mode="nearest") for c in range(3)],
        axis=-1,
    )
    light = rng.uniform(0, 2 * np.pi)
    shade = (slope_x * np.cos(light) + slope_y * np.sin(light)) / scale
    shaded = warped * (1 + rng.uniform(0.3, 1.1) * keep_on_object(scene, shade.astype(np.float32)))[..., None]
    return harmed(shaded, (area > 0.3).astype(np.float32), "dent")


def _stain(scene: Scene) -> DamagedPhoto:
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        small = rng.random() < 0.55
        radius = draw_radius(scene, 0.006, 0.03) if small else draw_radius(scene, 0.03, 0.16)
        mask = np.maximum(mask, blob(scene, radius=radius, rough=rng.uniform(0.1, 0.6)))
    mask = keep_on_object(scene, blur(mask, rng.uniform(0.5, 3)))
    fade = mask * np.clip(0.8 + 0.3 * fractal_noise(height, width, rng, cells=40), 0.2, 1)
    if rng.random() < 0.3:
        fade = fade * 0.6 + np.clip(mask - ndimage.minimum_filter(mask, 5), 0, 1) * 0.6
    dye = rng.uniform(0.15, 0.95) * np.array([1.0, rng.uniform(0.7, 1.05), rng.uniform(0.4, 1.1)])
    strength = (fade * rng.uniform(0.3, 0.95))[..., None]
    target: Pixels = scene.pixels * dye
    if rng.random() < 0.2:
        target = 0.35 * scene.pixels + rng.uniform(110, 165)
    return harmed(scene.pixels * (1 - strength) + target * strength, (mask > 0.15).astype(np.float32), "stain")


def _scuff(scene: Scene) -> DamagedPhoto:
    """Scratch or rub the surface."""
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    if rng.random() < 0.5:
        angle, size = rng.uniform(0, np.pi), max(height, width)
        row, column = place(scene)
        lines, widths = [], []
        for _ in range(int(rng.integers(1, 9))):
            x, y = column + rng.normal(0, 0.04 * size), row + rng.normal(0, 0.04 * size)
            turn, reach = angle + rng.normal(0, 0.12), rng.uniform(0.04, 0.35) * size
            lines.append([(x + t * reach * np.cos(turn), y + t * reach * np.sin(turn)) for t in (0, 0.4, 0.8, 1.0)])
            widths.append(rng.uniform(0.5, 2.2))
        mask = draw_lines(scene, lines, widths)
        seen = ndimage.maximum_filter(mask, 5)
    else:
        area = blob(scene, radius=draw_radius(scene, 0.03, 0.14), rough=0.5, at_edge=rng.random() < 0.5)
        mask = area * (fractal_noise(height, width, rng, cells=80, octaves=2) > rng.uniform(-0.5, 0.8))
        mask, seen = blur(mask.astype(np.float32), 0.6), area
    mask = keep_on_object(scene, mask)
    tone = rng.uniform(120, 250) if rng.random() < 0.6 else rng.uniform(0, 70)
    strength = (mask * rng.uniform(0.35, 0.9))[..., None]
    pixels = scene.pixels * (1 - strength) + (0.3 * scene.pixels + 0.7 * tone) * strength
    return harmed(pixels, keep_on_object(scene, np.asarray(seen, np.float32)), "scuff")


_KINDS: tuple[tuple[Callable[[Scene], DamagedPhoto | None], float], ...] = (
    (_break, 0.28),
    (_tear, 0.13),
    (_dent, 0.14),
    (_crack, 0.11),
    (_stain, 0.11),
    (_scuff, 0.07),
    (crush, 0.06),
    (crease, 0.05),
    (puncture, 0.03),
    (soak, 0.02),
)


def draw_mark(scene: Scene) -> DamagedPhoto:
    """Return the photo with a stain, a scuff or a hole on it, as garments show them."""
    draw = (_stain, _scuff, puncture)[int(scene.rng.choice(3, p=[0.75, 0.175, 0.075]))]
    return draw(scene)


def damage_photo(pixels: Pixels, rng: np.random.Generator) -> DamagedPhoto:
    """Return the photo with one to three kinds of damage drawn on it.

    pixels : shape (height, width, 3), in [0, 255]; left unchanged
    rng : source of every random choice
    """
    object_mask = find_object(pixels)
    weights = np.array([weight for _, weight in _KINDS])
    photo, mask, kinds = pixels, np.zeros(pixels.shape[:2], np.float32), []
    wanted = int(rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))
    for _ in range(20):
        draw = _KINDS[int(rng.choice(len(_KINDS), p=weights / weights.sum()))][0]
        damaged = draw(Scene(photo, object_mask, rng))
        if damaged is None:
            continue
        change = np.abs(damaged.pixels - photo).sum(-1) * (damaged.mask > 0.3)
        if float((change > 25).sum()) < 25:
            continue
        photo, mask = damaged.pixels, np.maximum(mask, damaged.mask)
        kinds.append(damaged.kind)
        if len(kinds) == wanted:
            break
    return harmed(photo, mask, "+".join(kinds))
