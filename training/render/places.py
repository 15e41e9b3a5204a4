"""Where goods are photographed: a white studio, tables, floors, a bed, a doorstep; and the light there.

Gives meshes about the goods, a picture of the light all round, and lamps. Knows nothing of the goods themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.photo_scene import fractal_noise
from training.render import household, materials, tableware
from training.render.materials import Material, hue
from training.render.meshes import Mesh, Points, box, plane, rounded, sheet

Part = tuple[Mesh, Material]


@dataclass(frozen=True)
class Lamp:
    """A square lamp of `size` cm; on_camera is a phone's flash."""

    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    towards: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radiance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    size: float = 1.0
    on_camera: bool = False


def build(
    place: str, light: str, rng: np.random.Generator, *, low: Points, high: Points
) -> tuple[list[Part], Points, list[Lamp]]:
    """Return what surrounds goods that fill the box from low to high, the sky (64, 128, 3), and the lamps.

    place: studio | table | dark_table | white_table | floor | tiles | bed | doorstep | concrete
    light: studio | window | dull | warm | flash | dim
    """
    size = float(np.linalg.norm(high - low))
    if place == "studio":
        line = rounded(
            [[-40 * size, 0], [2.2 * size, 0], [3.2 * size, 0], [3.4 * size, 1.2 * size], [3.4 * size, 30 * size]],
            times=3,
        )
        x = np.linspace(-60 * size, 60 * size, 2)
        grid = np.stack(np.broadcast_arrays(x[None, :], line[:, :1], line[:, 1:]), -1)
        return [(sheet(grid), Material("matte", hue("#f7f7f7")))], _sky("studio"), []
    surroundings = _ground(place, rng, size)
    back = high[1] + size * rng.uniform(0.9, 1.5)
    if place in ("table", "dark_table", "white_table"):
        surroundings += _wall(
            rng, back + 40, drop=75.0, tone=str(rng.choice(["#cfc8bb", "#b9c2c4", "#d8d2c6", "#a9a294"]))
        )
        surroundings += _clutter(rng, size=size, back=float(high[1]), wide=float(high[0]))
    elif place in ("floor", "tiles"):
        surroundings += _wall(rng, back, drop=0.0, tone=str(rng.choice(["#d9d4ca", "#c7ccc9", "#e0dccf"])))
    elif place == "concrete":
        surroundings += _wall(rng, back + 60, drop=0.0, tone="#a7a39a")
    elif place == "doorstep":
        surroundings += _door(rng, float(high[1]) + 12)
    above = (float(low[0] - 0.8 * size), float(low[1] - 0.5 * size), float(high[2] + 2.2 * size))
    middle = (float((low[0] + high[0]) / 2), float((low[1] + high[1]) / 2), float(low[2]))
    lamps = []
    if light == "warm":
        lamps.append(Lamp(above, middle, _warm(46), size=0.28 * size))
    elif light == "dim":
        lamps.append(Lamp(above, middle, _warm(9), size=0.25 * size))
    elif light == "flash":
        lamps.append(Lamp(radiance=(1.15 * size**2,) * 3, size=1.0, on_camera=True))
    return surroundings, _sky(light), lamps


def _warm(strength: float) -> tuple[float, float, float]:
    return strength, 0.72 * strength, 0.45 * strength


def _sky(light: str) -> Points:
    """Return the light all round, (64, 128, 3): rows from zenith to nadir, columns round the horizon."""
    rows, columns = np.mgrid[0:64, 0:128]
    up, round_ = 90 - (rows + 0.5) / 64 * 180, (columns + 0.5) / 128 * 360
    sky = np.zeros((64, 128, 3))

    def lit(azimuth: float, height: float, width: float, tall: float, colour: list[float]) -> None:
        across = np.abs((round_ - azimuth + 180) % 360 - 180)
        inside = (across < width / 2) & (np.abs(up - height) < tall / 2)
        sky[inside] += colour

    if light == "studio":
        sky += 0.72
        lit(150, 45, 70, 50, [3.2, 3.2, 3.25])
        lit(330, 40, 60, 45, [1.6, 1.6, 1.6])
        lit(60, 70, 360, 30, [0.7, 0.7, 0.7])
        for azimuth in (15, 85, 205, 275):  # black cards, for an edge to glass and steel
            lit(azimuth, 5, 16, 80, [-0.65, -0.65, -0.65])
        return sky
    room = {"window": 0.16, "dull": 0.26, "warm": 0.07, "flash": 0.045, "dim": 0.035}[light]
    sky += room * np.where(up > 0, 1.0, 0.55)[..., None] * np.array([1.0, 0.95, 0.88])
    if light == "window":
        for k in range(2):
            lit(140 + 32 * k, 32, 24, 42, [11.0, 11.6, 12.6])
        lit(300, 20, 40, 50, [0.35, 0.32, 0.28])
    elif light == "dull":
        lit(215, 30, 50, 45, [2.6, 2.9, 3.3])
    elif light == "warm":
        lit(40, 25, 30, 40, [0.3, 0.25, 0.2])
    return sky


def _ground(place: str, rng: np.random.Generator, size: float) -> list[Part]:
    wide = 400.0
    if place == "table":
        tone = str(rng.choice(["#b07d4a", "#9a6a3c", "#c59a66"]))
        return [
            (
                plane(wide, wide, repeat=4),
                Material("rough_plastic", picture=materials.wood(rng, tone=tone, planks=7), roughness=0.3),
            )
        ]
    if place == "dark_table":
        return [
            (
                plane(wide, wide, repeat=4),
                Material("rough_plastic", picture=materials.wood(rng, tone="#4d3323", planks=6), roughness=0.22),
            )
        ]
    if place == "white_table":
        return [
            (
                plane(wide, wide, repeat=3),
                Material("rough_plastic", picture=_seamless(rng, "#d9d6cf", 0.025), roughness=0.25),
            )
        ]
    if place == "floor":
        return [
            (
                plane(wide, wide, repeat=3),
                Material("rough_plastic", picture=materials.wood(rng, tone="#a87f55", planks=12), roughness=0.25),
            )
        ]
    if place == "tiles":
        return [
            (
                plane(wide, wide, repeat=2.5),
                Material("rough_plastic", picture=materials.tiles(rng, tone="#c9c2b4"), roughness=0.12),
            )
        ]
    if place == "bed":
        n = 160
        y, x = np.mgrid[0:n, 0:n] / (n - 1) * 2 - 1
        reach = 4.0 * size
        rough = np.asarray(fractal_noise(n, n, rng, cells=7, octaves=3), float)
        folds = 0.022 * size * (rough - 1.2) * np.clip(np.hypot(x, y) * 5 - 0.35, 0.05, 1)
        folds = np.minimum(folds, 0.0 * folds + 0.05 * size)
        grid = np.stack([x * reach, y * reach, folds - 0.004 * size], -1)
        cover = materials.cloth(rng, tone=str(rng.choice(["#8fa0ae", "#b7a693", "#9aa58f"])), threads=60)
        mesh = sheet(grid[::-1])
        return [
            (Mesh(mesh.vertices, mesh.faces[:, ::-1], mesh.uv * max(2.0, reach / 12)), Material("matte", picture=cover))
        ]
    if place in ("concrete", "doorstep"):
        return [(plane(wide, wide, repeat=3), Material("matte", picture=_seamless(rng, "#8f8b84", 0.07)))]
    raise ValueError(f"no such place: {place}")


def _seamless(rng: np.random.Generator, tone: str, grain: float) -> Points:
    return materials.mirrored(materials.stone(rng, tone=tone, grain=grain))


def _wall(rng: np.random.Generator, at: float, *, drop: float, tone: str) -> list[Part]:
    rough = materials.stone(rng, tone=tone, grain=0.012)
    wall = plane(900, 500, repeat=3).moved((0, at, 240 - drop), turn=(90, 0, 0))
    found: list[Part] = [(wall, Material("matte", picture=rough))]
    if drop == 0:
        found.append(
            (
                box(900, 1.6, 8, bevel=0.4).moved((0, at - 0.8, 0)),
                Material("rough_plastic", hue("#eceae4"), roughness=0.3),
            )
        )
    return found


def _clutter(rng: np.random.Generator, *, size: float, back: float, wide: float) -> list[Part]:
    """Return what stands about behind the goods, out of focus."""
    found: list[Part] = []
    spots = rng.permutation([-1.0, 0.35, 1.15])
    for spot, kind in zip(spots[:2], rng.permutation(["mug", "book", "carton", "bottle"])[:2], strict=True):
        where = (spot * (wide + 8) + rng.normal(0, 2), back + 13 + rng.uniform(0, 8), 0.0)
        if kind == "mug":
            things = tableware.pottery(
                rng, shape="mug", colour=str(rng.choice(["#3c5a6b", "#b5533c", "#d8d2c2"])), handle=True
            )
        elif kind == "book":
            things = household.book(rng, colour=str(rng.choice(["#7a2f2a", "#2f4a3a", "#c2a14d"])), title="")
        elif kind == "carton":
            things = household.carton(rng, width=22, depth=16, height=11)
        else:
            things = tableware.thermos(rng, colour=str(rng.choice(["#2d3a44", "#8a8f93"])), lid="#222222")
        turn = float(rng.uniform(-50, 50))
        found += [(mesh.moved(turn=(0, 0, turn)).moved(where), material) for mesh, material in things]
    return found


def _door(rng: np.random.Generator, at: float) -> list[Part]:
    tone = str(rng.choice(["#2f4f63", "#6b2b25", "#3d4a3a"]))
    paint = Material("rough_plastic", hue(tone), roughness=0.3)
    wall = plane(900, 500, repeat=5).moved((0, at + 3, 240), turn=(90, 0, 0))
    found: list[Part] = [
        (wall, Material("matte", picture=materials.tiles(rng, tone="#9c6a52", grout="#b9b0a4", across=14)))
    ]
    found.append((box(92, 4, 205, bevel=0.5).moved((0, at + 1, 6)), paint))
    for x in (-22, 22):
        for z, tall in ((16, 60), (90, 96)):
            found.append((box(34, 2.4, tall, bevel=1.1).moved((x, at - 1.2, z)), paint))
    found.append(
        (
            box(118, 12, 6, bevel=0.6).moved((0, at - 1, 0)),
            Material("matte", picture=materials.stone(rng, tone="#b8b2a6")),
        )
    )
    mat = materials.cloth(rng, tone="#4a4038", threads=60)
    found.append((box(70, 40, 1.2, bevel=0.4).moved((0, at - 32, 0)), Material("matte", picture=mat)))
    return found
