"""Things that stand in a room: lamps, stools, chairs, speakers, headphones, cushions, globes.

Each builder takes its options and a generator and returns parts standing on z = 0 about the z axis, front at -y.
"""

from __future__ import annotations

import numpy as np

from training.photo_scene import fractal_noise
from training.render import materials
from training.render.materials import Material, hue
from training.render.meshes import Mesh, box, cushion, flipped, merge, revolve, sheet, shell_parts, sphere, tube, vessel

Part = tuple[Mesh, Material]


def lamp(rng: np.random.Generator, *, colour: str = "#d9a441", lit: float = 0.0) -> list[Part]:
    """Return a desk lamp; lit > 0: its bulb glows so strongly."""
    paint = Material("rough_plastic", hue(colour), roughness=0.18)
    steel = Material("metal", hue("#cfcfcf"), roughness=0.12)
    foot = revolve([[0, 2.2], [1.5, 2.1], [7.5, 1.4], [8.2, 0.8], [8.2, 0], [0, 0]])
    stem = tube([[0, 0, 2], [0, 0, 12], [-3.5, 0, 24], [-4.6, 0, 27]], 0.55)
    arm = tube([[-4.6, 0, 27], [2, 0, 33], [8, 0, 37]], 0.5)
    joint = sphere(1.1).moved((-4.6, 0, 27))
    shade, _ = shell_parts(
        vessel([[6.4, 0], [6.1, 1.2], [5.2, 5], [3.2, 8.2], [2.0, 9.3], [1.9, 11.5], [0, 11.6]], wall=0.18)
    )
    shade = Mesh(shade.vertices * [1, 1, 1], shade.faces, shade.uv)
    hood = shade.moved(turn=(0, -34, 0)).moved((13.6, 0, 29.5))
    found: list[Part] = [(foot, paint), (stem, steel), (arm, steel), (joint, steel), (hood, paint)]
    bulb = sphere(2.3).moved((0, 0, 3.4)).moved(turn=(0, -34, 0)).moved((13.6, 0, 29.5))
    if lit:
        found.append((bulb, Material("glow", (1.0, 0.82, 0.55), glow=lit)))
    else:
        found.append((bulb, Material("plastic", hue("#f4f1e8"), roughness=0.1)))
    cord = tube([[0, 8, 0.35], [3, 12, 0.35], [10, 14, 0.35], [16, 20, 0.35], [30, 22, 0.35]], 0.32)
    found.append((cord, Material("rough_plastic", hue("#1a1a1a"), roughness=0.3)))
    return found


def stool(rng: np.random.Generator, *, colour: str = "#c79a63", legs: int = 4, apart: bool = False) -> list[Part]:
    """Return a wooden stool; apart: as unpacked, the seat and so many legs lying on the floor with a bag of screws."""
    grain = materials.wood(rng, tone=colour, planks=1, size=768)
    skin = Material("rough_plastic", picture=grain, roughness=0.28)
    seat = revolve([[0, 3.4], [14, 3.4], [15.6, 3.1], [16, 2], [15.4, 0.3], [14, 0], [0, 0]])
    flat = Mesh(seat.vertices, seat.faces, seat.vertices[:, :2] / 34 + 0.5, seat.smooth)
    if not apart:
        found: list[Part] = [(flat.moved((0, 0, 42)), skin)]
        for k in range(4):
            a = np.pi / 4 + k * np.pi / 2
            found.append(
                (
                    tube(
                        [[17 * np.cos(a), 17 * np.sin(a), 0], [9.5 * np.cos(a), 9.5 * np.sin(a), 42.3]],
                        np.array([1.3, 1.9]),
                    ),
                    skin,
                )
            )
            b = a + np.pi / 2
            low, high = 13.7, 13.7
            found.append(
                (tube([[low * np.cos(a), low * np.sin(a), 18], [high * np.cos(b), high * np.sin(b), 18]], 0.9), skin)
            )
        return found
    found = [(flat.moved((-12, 6, 0)), skin)]
    for k in range(legs):
        leg = tube([[0, -21, 0], [0, 21, 0]], np.array([1.3, 1.9]))
        found.append((leg.moved((10 + 6.5 * k, -2 + 2 * k, 1.9), turn=(0, 0, float(rng.normal(0, 6)))), skin))
    for _ in range(9):
        screw = tube([[0, 0, 0.3], [2.6, 0, 0.3]], np.array([0.45, 0.2, 0.2, 0.12]), n_along=20)
        found.append(
            (
                screw.moved(
                    (-6 + rng.normal(0, 2.4), -17 + rng.normal(0, 1.6), 0.1), turn=(0, 0, float(rng.uniform(0, 360)))
                ),
                Material("metal", hue("#c0c0c0"), roughness=0.2),
            )
        )
    return found


def chair(rng: np.random.Generator, *, colour: str = "#e7e3da", wood: str = "#b98a58") -> list[Part]:
    """Return a dining chair with a moulded seat and four splayed legs."""
    shell = Material("rough_plastic", hue(colour), roughness=0.3)
    grain = Material("rough_plastic", picture=materials.wood(rng, tone=wood, planks=1, size=512), roughness=0.28)
    t = np.linspace(0, 1, 60)
    s = np.linspace(-1, 1, 50)
    spine_y = np.interp(t, [0, 0.08, 0.5, 0.62, 0.75, 1.0], [-23, -22, 12, 19, 22, 28])
    spine_z = np.interp(t, [0, 0.08, 0.5, 0.62, 0.75, 1.0], [42.5, 44.5, 43, 47, 56, 82])
    smooth = np.ones(7) / 7
    spine_y = np.convolve(np.pad(spine_y, 3, mode="edge"), smooth, mode="valid")
    spine_z = np.convolve(np.pad(spine_z, 3, mode="edge"), smooth, mode="valid")
    half = 21.5 * (1 - np.abs(2 * t - 1) ** 7) ** 0.5 + 0.3
    ss, tt = np.meshgrid(s, t)
    curl = (np.abs(ss) ** 2.4) * 5.5 * np.sin(np.pi * np.clip(tt * 1.05, 0, 1))
    grid = np.stack([ss * half[:, None], spine_y[:, None] - curl * (tt > 0.55), spine_z[:, None] + curl * 0.8], -1)
    upper, lower = flipped(sheet(grid[::-1])), sheet((grid - [0, 0.0, 1.1])[::-1])
    found: list[Part] = [(merge([upper, lower]), shell)]
    for x in (-1, 1):
        for y, reach in ((-14, -5), (12, 6)):
            found.append((tube([[x * 22, y + reach, 0], [x * 12, y, 43]], np.array([1.1, 1.8])), grain))
    for y in (-14, 12):
        found.append((tube([[-12.5, y, 40], [12.5, y, 40]], 0.7), Material("metal", hue("#222222"), roughness=0.3)))
    return found


def speaker(rng: np.random.Generator, *, colour: str = "#394a63") -> list[Part]:
    """Return a portable speaker: an upright drum in cloth with rubber ends."""
    weave = materials.cloth(rng, tone=colour, threads=190, size=1024)
    rubber = Material("rough_plastic", hue("#18191b"), roughness=0.4)
    body = revolve([[0, 17.4], [4.4, 17.4], [4.6, 17.0], [4.6, 9], [4.6, 1.4], [4.4, 1.0], [0, 1.0]])
    top = revolve([[0, 18.6], [3.6, 18.6], [4.3, 18.3], [4.6, 17.6], [4.5, 17.0], [0, 17.0]])
    foot = revolve([[0, 1.6], [4.5, 1.6], [4.6, 1.0], [4.2, 0.1], [4.0, 0], [0, 0]])
    found: list[Part] = [(body, Material("matte", picture=weave)), (top, rubber), (foot, rubber)]
    badge = box(2.6, 0.25, 0.9, bevel=0.1).moved((0, -4.6, 8.2))
    found.append((badge, Material("metal", hue("#d6d6d6"), roughness=0.15)))
    strap = tube([[4.5, 0, 16.5], [6.2, 0, 15.5], [6.6, 0, 12], [6.0, 0, 8.6], [4.5, 0, 7.6]], 0.3)
    found.append((strap, rubber))
    for k in range(3):
        found.append(
            (
                revolve([[0, 0.2], [0.5, 0.15], [0.55, 0], [0, 0]], n_along=16).moved((1.6 * (k - 1), -1.2, 18.6)),
                Material("rough_plastic", hue("#55585c"), roughness=0.3),
            )
        )
    return found


def headphones(
    rng: np.random.Generator, *, colour: str = "#1c1d20", pads: str = "#101010", style: str = "round"
) -> list[Part]:
    """Return over-ear headphones lying on their cups. style: round | oval (flat band, other cups)."""
    shell = Material("rough_plastic", hue(colour), roughness=0.22 if style == "round" else 0.35)
    soft = Material("rough_plastic", hue(pads), roughness=0.5)
    steel = Material("metal", hue("#c4c4c6"), roughness=0.15)
    t = np.linspace(np.radians(-8), np.radians(188), 60)
    band = np.stack([8.6 * np.cos(t), 0 * t, 10.5 + 9.0 * np.sin(t)], 1)
    wide = (1, 2.6, 1) if style == "round" else (1, 1.5, 1)
    found: list[Part] = [(tube(band, 0.62).moved(scale=wide), shell)]
    inner = np.stack([7.7 * np.cos(t[12:-12]), 0 * t[12:-12], 10.3 + 8.3 * np.sin(t[12:-12])], 1)
    found.append((tube(inner, 0.6).moved(scale=(1, 2.2, 1)), soft))
    tall = 1.0 if style == "round" else 1.25
    for side in (-1, 1):
        cup = revolve([[0, 3.0], [2.6, 2.9], [4.0, 2.3], [4.4, 1.2], [4.4, 0.3], [0, 0.3]])
        pad = revolve(
            [[0, -0.4], [2.2, -0.4], [2.5, -1.6], [3.4, -2.1], [4.3, -1.6], [4.4, 0], [4.3, 0.4], [0, 0.4]][::-1]
        )
        ring = revolve([[0, 3.15], [2.0, 3.15], [2.1, 3.0], [2.1, 2.8], [0, 2.8]], n_along=40)
        for mesh, skin in ((cup, shell), (pad, soft), (ring, steel if style == "round" else shell)):
            found.append(
                (mesh.moved(scale=(tall, 1, 1)).moved(turn=(0, 90 * side, 0)).moved((side * 7.2, 0, 5.6)), skin)
            )
        found.append((tube([[side * 8.6, 0, 10.5], [side * 8.9, 0, 7.5]], 0.45), steel))
    return found


def pillow(rng: np.random.Generator, *, colour: str = "#c7a24a", stripe: str = "") -> list[Part]:
    """Return a square cushion lying on its back."""
    cover = materials.cloth(rng, tone=colour, threads=120, stripe=stripe or None)
    n = 70
    wrinkle = 0.35 * np.asarray(fractal_noise(n, n, rng, cells=5, octaves=3), float)
    mesh = cushion(45, 45, 15, n=n, wrinkle=wrinkle)
    return [(mesh, Material("matte", picture=cover))]


def standing_pillow(rng: np.random.Generator, *, colour: str = "#c7a24a", stripe: str = "") -> list[Part]:
    """Return a square cushion standing, leaning back a little."""
    return [
        (mesh.moved((0, 6, 22.5), turn=(76, 0, 0)), skin) for mesh, skin in pillow(rng, colour=colour, stripe=stripe)
    ]


def globe(rng: np.random.Generator, *, sea: str = "#2f5f86", land: str = "#d3b878") -> list[Part]:
    """Return a desk globe on a turned foot."""
    height, width = 512, 1024
    noise = np.asarray(fractal_noise(height, width, rng, cells=5, octaves=5), float)
    edge = np.minimum(1, np.minimum(np.arange(width), np.arange(width)[::-1]) / 60)
    picture = np.where((noise * edge > 0.35)[..., None], hue(land), hue(sea))
    y, x = np.mgrid[0:height, 0:width]
    lines = ((y % (height // 12)) < 1) | ((x % (width // 24)) < 1)
    picture = np.where(lines[..., None], picture * 0.8 + 0.15, picture)
    brass = Material("metal", hue("#c9a052"), roughness=0.15)
    wood = Material("rough_plastic", picture=materials.wood(rng, tone="#5a3822", planks=1, size=512), roughness=0.2)
    ball = sphere(10, n=80).moved(turn=(0, 23, 0)).moved((0, 0, 19))
    t = np.linspace(np.radians(-90), np.radians(90), 50)
    arc = np.stack([11 * np.cos(t), 0 * t, 11 * np.sin(t)], 1)
    meridian = tube(arc, 0.45).moved(turn=(0, 23, 0)).moved((0, 0, 19))
    foot = revolve([[0, 8.4], [1.1, 8.2], [1.2, 6], [2.2, 4], [1.4, 3], [6, 1.6], [7.4, 0.9], [7.4, 0], [0, 0]])
    axis = tube([[0, 0, -11], [0, 0, 11]], 0.4).moved(turn=(0, 23, 0)).moved((0, 0, 19))
    return [(ball, Material("plastic", picture=picture, roughness=0.1)), (meridian, brass), (axis, brass), (foot, wood)]
