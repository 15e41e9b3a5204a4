"""Goods turned on a wheel or blown: plates, bowls, mugs, jugs, vases, glasses, bottles, pots, candles, planters.

Each builder takes its options and a generator and returns parts standing on z = 0 about the z axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from training.render import damage, materials
from training.render.materials import Material, hue
from training.render.meshes import (
    Cells,
    Mesh,
    Points,
    Shell,
    box,
    merge,
    revolve,
    sheet,
    shell_parts,
    sphere,
    tube,
    vessel,
)

Part = tuple[Mesh, Material]
CORE = Material("matte", hue("#e9e2d4"))
FRONT = 0.75  # the share of the way round that faces the camera

PROFILES: dict[str, tuple[list[list[float]], float]] = {
    "plate": ([[12, 2.4], [11, 2.1], [8.6, 1.2], [7.4, 0.4], [6.6, 0.05], [4, 0], [0, 0]], 0.45),
    "bowl": ([[9.5, 7.5], [9.2, 6], [8, 3], [5.5, 0.9], [4, 0.1], [3.4, 0], [0, 0]], 0.5),
    "mug": ([[4.1, 9.6], [4.1, 8], [4.1, 3], [4.0, 1], [3.6, 0.1], [3.0, 0], [0, 0]], 0.32),
    "jug": ([[4.2, 19], [3.7, 17], [4.2, 14], [6.4, 9], [6.8, 5], [5.6, 1.5], [4.4, 0.1], [4, 0], [0, 0]], 0.42),
    "vase": (
        [[3.4, 26], [2.6, 24.5], [2.5, 22], [4.2, 18], [6.6, 12.5], [6.4, 7], [4.4, 2], [4.0, 0.1], [3.6, 0], [0, 0]],
        0.5,
    ),
    "planter": ([[9, 15.5], [9, 13.6], [8.5, 13.4], [8.2, 10], [7.2, 3], [6.8, 0.2], [6.4, 0], [0, 0]], 0.8),
    "tumbler": ([[4.1, 11], [4.0, 8], [3.6, 3], [3.4, 0.5], [3.2, 0.05], [3.0, 0], [0, 0]], 0.28),
    "glass_bowl": ([[11, 8], [10.2, 6.5], [8.4, 3.4], [5, 1.0], [4, 0.1], [3.4, 0], [0, 0]], 0.55),
}


def _shell(kind: str) -> Shell:
    profile, wall = PROFILES[kind]
    return vessel(profile, wall=wall, floor=1.2 if kind == "tumbler" else None)


def _both(skin: Material, parts: tuple[Mesh, Mesh | None], core: Material = CORE) -> list[Part]:
    body, break_faces = parts
    return [(body, skin)] if break_faces is None else [(body, skin), (break_faces, core)]


def _scattered(
    shell: Shell, skin: Material, core: Material, rng: np.random.Generator, *, n: int, lying: bool
) -> list[Part]:
    """Return a shell in pieces: the piece at the foot stands, the others lie about it."""
    centres = shell.centres()
    label = damage.pieces(shell, rng, n=n, about=centres[0, int(FRONT * centres.shape[1])], spread=0.25)
    reach = float(np.abs(centres[..., :2]).max())
    base = int(np.bincount(label[-20:].ravel()).argmax())
    found: list[Part] = []
    for k in np.unique(label):
        body, edge = shell_parts(shell, label == k)
        pivot = body.vertices.mean(0)
        towards = pivot[:2] / (np.linalg.norm(pivot[:2]) + 1e-6)
        if lying:
            shift = pivot[:2] * rng.uniform(0.07, 0.2) + rng.normal(0, 0.25, 2)
            turns = [(rng.normal(0, 2), rng.normal(0, 2), rng.normal(0, 9))]
        elif k == base:
            pivot, shift, turns = np.zeros(3), np.zeros(2), [(0.0, 0.0, rng.normal(0, 8))]
        else:
            outward = float(np.degrees(np.arctan2(towards[1], towards[0])))
            shift = towards * (reach * rng.uniform(0.3, 0.65)) + rng.normal(0, 0.6, 2)
            turns = [(0, 0, -outward), (0, 78 + rng.normal(0, 12), 0), (0, 0, outward + rng.normal(0, 25))]
        fallen = _turned(body, pivot, turns)
        lift = (pivot[0] + shift[0], pivot[1] + shift[1], -float(fallen.vertices[:, 2].min()))
        found.append((fallen.moved(lift), skin))
        if edge is not None:
            found.append((_turned(edge, pivot, turns).moved(lift), core))
    return found


def _turned(mesh: Mesh, pivot: Points, turns: Sequence[Sequence[float]]) -> Mesh:
    mesh = mesh.moved(-pivot)
    for turn in turns:
        mesh = mesh.moved(turn=turn)
    return mesh


def _cracked(
    picture: Points, rng: np.random.Generator, *, at: tuple[float, float], heading: float, length: float
) -> Points:
    paths = damage.crack_paths(rng, start=at, heading=heading, length=length, branches=4)
    return damage.cracked(picture, paths, width=picture.shape[0] / 340, tone=0.13)


def pottery(
    rng: np.random.Generator,
    *,
    shape: str,
    colour: str = "#f2efe8",
    speckle: float = 0.0,
    harm: str = "",
    band: str = "",
    n: int = 7,
    handle: bool = False,
    chip_at: float = FRONT,
) -> list[Part]:
    """Return glazed pottery. harm: '' | broken | chip | crack."""
    picture = materials.glaze(rng, tone=colour, speckle=speckle)
    if band:
        picture[40:70] = hue(band)
        picture[84:92] = hue(band)
    if harm == "crack":
        picture = _cracked(picture, rng, at=(FRONT - 0.05, 0.0), heading=1.4, length=0.62)
    skin = Material("plastic", picture=picture, roughness=0.08)
    shell = _shell(shape)
    if harm == "broken":
        return _scattered(shell, skin, CORE, rng, n=n, lying=shape == "plate")
    keep = None
    if harm == "chip":
        keep = damage.chip(shell, rng, at=shell.centres()[0, int(chip_at * 220)], radius=1.25)
    found = _both(skin, shell_parts(shell, keep))
    if handle:
        top, low, out = (8.0, 2.2, 3.4) if shape == "mug" else (16.5, 6.0, 4.2)
        t = np.linspace(0, np.pi, 24)
        reach = 3.8 if shape == "mug" else np.interp(t / np.pi, [0, 1], [3.6, 6.4])
        path = np.stack([reach + out * np.sin(t) ** 0.8, 0 * t, top + (low - top) * (1 - np.cos(t)) / 2], 1)
        found.append((tube(path, 0.55).moved(turn=(0, 0, -25)), skin))
    return found


def glass(
    rng: np.random.Generator, *, shape: str = "tumbler", harm: str = "", n: int = 8, tint: str = "#ffffff"
) -> list[Part]:
    """Return a drinking glass or bowl; with bubbles in the wall, or in pieces."""
    skin = Material("glass", hue(tint))
    shell = _shell(shape)
    if harm == "broken":
        return _scattered(shell, skin, skin, rng, n=n, lying=False)
    return _both(skin, shell_parts(shell), skin)


def thermos(
    rng: np.random.Generator, *, colour: str = "#efe6d2", lid: str = "#d9cdb4", logo: str = "", harm: str = ""
) -> list[Part]:
    """Return a vacuum bottle; logo is the name on its side."""
    picture = materials.plain(colour, height=1024, width=1536)
    if logo:
        picture = materials.written(
            picture, [(logo, FRONT - 0.055, 0.5, 0.05)], ink="#f5f5f0" if sum(hue(colour)) < 1.5 else "#333333"
        )
    body = revolve([[0, 18.6], [2.6, 18.6], [3.3, 18.2], [3.5, 17], [3.5, 9], [3.5, 1], [3.3, 0], [0, 0]])
    if harm == "dent":
        body = damage.dent(body, at=(0.6, -3.5, 6), radius=2.6, push=(-0.1, 0.8, 0))
    ring = revolve([[0, 19.1], [2.9, 19.1], [3.0, 18.9], [3.0, 18.4], [0, 18.4]], soft=1)
    cap = revolve([[0, 23.4], [2.6, 23.4], [2.95, 23.0], [3.05, 21], [3.1, 19.1], [0, 19.1]])
    return [
        (body, Material("rough_plastic", picture=picture, roughness=0.22)),
        (ring, Material("metal", hue("#c9c9c9"), roughness=0.15)),
        (cap, Material("rough_plastic", hue(lid), roughness=0.3)),
    ]


def perfume(
    rng: np.random.Generator, *, harm: str = "", juice: str = "#f3cf8a", cap: str = "#1b1b1d", name: str = "LUMEA"
) -> list[Part]:
    """Return a perfume flask with a label. harm: '' | crooked (a label askew, half come off, another print)."""
    liquid = materials.plain(juice)
    paper = materials.plain("#f5f0e4" if not harm else "#e9e4dc", height=300, width=360)
    paper = materials.written(
        paper,
        [
            (name if not harm else "LUMEA ", 0.12, 0.2, 0.22),
            ("EAU DE PARFUM", 0.14, 0.55, 0.1),
            ("30 ml  1.0 fl.oz", 0.2, 0.72, 0.08),
        ],
    )
    if harm:
        paper = damage.stained(paper, rng, at=(0.85, 0.85), radius=0.4, colour=(0.75, 0.6, 0.4))
    sticker = box(3.4, 0.04, 2.7, bevel=0.015)
    atlas = np.tile(paper, (2, 3, 1))
    tilt = 7.0 if harm else 0.0
    neck = revolve([[0, 9.2], [0.9, 9.2], [0.95, 9.0], [0.95, 7.7], [0, 7.7]], soft=1)
    return [
        (box(5, 2.8, 7.8, bevel=0.5, n=10), Material("plastic", picture=liquid, roughness=0.04)),
        (
            sticker.moved(turn=(0, tilt, 0)).moved((0.25 if harm else 0, -1.42, 2.4 if not harm else 2.1)),
            Material("matte", picture=atlas),
        ),
        (neck, Material("metal", hue("#d8b46a"), roughness=0.12)),
        (box(2.6, 2.2, 3.0, bevel=0.25).moved((0, 0, 9.2)), Material("plastic", hue(cap), roughness=0.1)),
    ]


def stockpot(rng: np.random.Generator, *, harm: str = "", lid: bool = True) -> list[Part]:
    """Return a steel pot with two handles. harm: '' | dent."""
    steel = Material("metal", hue("#d6d6d8"), roughness=0.13)
    body, _ = shell_parts(
        vessel([[11.4, 13.2], [11, 12.8], [11, 9], [11, 4], [11, 1], [10.4, 0.1], [9.5, 0], [0, 0]], wall=0.3)
    )
    if harm == "dent":
        body = damage.dent(body, at=(1.5, -11, 8), radius=6.5, push=(-0.6, 3.9, -0.3))
        body = damage.dent(body, at=(-5.5, -9.5, 4), radius=3.5, push=(0.4, 1.3, 0.2))
    found = [(body, steel)]
    t = np.linspace(0, np.pi, 24)
    for side in (-1, 1):
        path = np.stack([side * (10.9 + 3.0 * np.sin(t) ** 0.7), 3.6 * np.cos(t), 9.6 + 0.8 * np.sin(t)], 1)
        found.append((tube(path, 0.5), steel))
    if lid:
        cover = revolve([[0, 3.0], [4, 2.6], [9, 1.2], [11.4, 0.2], [11.5, 0], [0, 0]])
        knob = revolve([[0, 5.4], [1.6, 5.4], [2.0, 4.9], [1.0, 3.4], [0.8, 2.6], [0, 2.6]])
        if harm:
            cover, knob = (m.moved(turn=(0, 7, 0)).moved((2.2, 0.8, 12.4)) for m in (cover, knob))
        else:
            cover, knob = (m.moved((0, 0, 13.2)) for m in (cover, knob))
        found += [(cover, steel), (knob, Material("rough_plastic", hue("#1e1e1e"), roughness=0.25))]
    return found


def skillet(rng: np.random.Generator, *, worn: bool = False) -> list[Part]:
    """Return a cast-iron pan with its handle, without a lid."""
    iron = materials.stone(rng, tone="#26262a", grain=0.09)
    skin = Material("rough_plastic", picture=iron, roughness=0.32)
    body, _ = shell_parts(vessel([[13, 4.6], [12.8, 3.8], [11.8, 1.0], [11, 0.1], [10, 0], [0, 0]], wall=0.45))
    handle = merge(
        [
            tube([[12.4, 0, 3.9], [17, 0, 4.6], [24, 0, 5.2], [27, 0, 5.2]], np.array([1.2, 0.9, 1.1, 1.3, 0.9])).moved(
                scale=(1, 1, 0.55), offset=(0, 0, 1.7)
            )
        ]
    )
    return [(body, skin), (handle.moved(turn=(0, 0, -38)), skin)]


def candle(rng: np.random.Generator, *, burnt: bool = False) -> list[Part]:
    """Return a scented candle in a jar; burnt: half gone, soot on the glass."""
    level = 3.6 if burnt else 7.2
    jar, _ = shell_parts(vessel([[4.2, 9.4], [4.2, 6], [4.2, 1], [4.0, 0.1], [3.6, 0], [0, 0]], wall=0.26, floor=0.9))
    picture = materials.glaze(rng, tone="#f3e7cf")
    if burnt:
        picture = damage.stained(picture, rng, at=(0.5, 0.06), radius=0.2, colour=(0.35, 0.3, 0.25))
    wax = revolve(
        [
            [0, level - (0.7 if burnt else 0)],
            [2.0, level - (0.6 if burnt else 0)],
            [3.3, level],
            [3.86, level + 0.15],
            [3.86, 1.2],
            [0, 1.2],
        ]
    )
    wick = tube([[0, 0, level - 1], [0, 0, level + 0.3], [0.15, 0.1, level + 0.9]], 0.1)
    paper = materials.plain("#22313a", height=400, width=1400)
    paper = materials.written(
        paper,
        [("fig & cedar", FRONT - 0.115, 0.25, 0.2), ("soy wax candle  220 g", FRONT - 0.11, 0.6, 0.11)],
        ink="#efe3c6",
    )
    label = revolve([[0, 5.9], [4.24, 5.9], [4.24, 2.0], [0, 2.0]], soft=0, n_along=4)
    band = Mesh(label.vertices, label.faces[_side_only(label)], _stretched(label), smooth=True)
    found = [
        (jar, Material("glass", hue("#f5f5f5"))),
        (wax, Material("rough_plastic", picture=picture, roughness=0.4)),
        (wick, Material("matte", hue("#141210" if burnt else "#e6dcc6"))),
        (band, Material("matte", picture=paper)),
    ]
    return found


def _side_only(mesh: Mesh) -> Cells:
    radius = np.linalg.norm(mesh.vertices[mesh.faces][..., :2], axis=-1)
    return np.asarray((radius > 1).all(1))


def _stretched(mesh: Mesh) -> Points:
    uv = mesh.uv.copy()
    z = mesh.vertices[:, 2]
    uv[:, 1] = (z - z.min()) / float(np.ptp(z))
    return uv


def planter(rng: np.random.Generator, *, colour: str = "#c9d3cf", soil: bool = False, harm: str = "") -> list[Part]:
    """Return a flower pot, with soil and a succulent if planted. harm: '' | crack."""
    found = pottery(rng, shape="planter", colour=colour, harm=harm, speckle=0.6)
    if not soil:
        return found
    ground = sphere(
        7.6, displace=lambda d: 1 + 0.02 * np.sin(d @ np.array([31.0, 47, 13])) * np.sin(d @ np.array([-53.0, 23, 61]))
    )
    earth = materials.stone(rng, tone="#3b2a1e", grain=0.25)
    found.append((ground.moved((0, 0, 12.6), scale=(1, 1, 0.14)), Material("matte", picture=earth)))
    leaf = materials.glaze(rng, tone="#7fa37c")
    for ring, (count, reach, tip) in enumerate([(9, 4.6, 62), (8, 3.5, 45), (6, 2.4, 28), (4, 1.2, 12)]):
        for k in range(count):
            petal = sphere(1.0, n=20).moved((0, 0, 0.9 * reach), scale=(1.15, 0.42, 0.55 * reach + 0.9))
            turned = (
                petal.moved(turn=(0, 0, 90))
                .moved(turn=(0, tip, 0))
                .moved(turn=(0, 0, 360 * k / count + 20 * ring + rng.normal(0, 4)))
            )
            found.append(
                (turned.moved((0, 0, 13.6 + 0.35 * ring)), Material("rough_plastic", picture=leaf, roughness=0.35))
            )
    return found


def _pores(rng: np.random.Generator) -> Callable[[Points], Points]:
    waves = rng.normal(size=(3, 40)) * 30

    def displace(directions: Points) -> Points:
        return np.asarray(1 + 0.0022 * np.sin(directions @ waves).sum(-1) / 3)

    return displace


def fruit_tray(
    rng: np.random.Generator, *, rows: int = 3, columns: int = 4, rotten: int = 0, colour: str = "#f08a1d"
) -> list[Part]:
    """Return oranges in a pulp tray, some of them mouldy or caved in."""
    pitch = 7.6
    pulp = materials.stone(rng, tone="#8d86a0", grain=0.05)
    width, depth = columns * pitch + 1.6, rows * pitch + 1.6
    y, x = np.mgrid[0:90, 0:120]
    gx, gy = (x / 119 - 0.5) * width, (y / 89 - 0.5) * depth
    cups = np.abs(np.sin(np.pi * (gx - width / 2 + 0.8) / pitch) * np.sin(np.pi * (gy - depth / 2 + 0.8) / pitch))
    tray = sheet(np.stack([gx, gy, 3.2 - 2.6 * cups**0.7], -1)[::-1])
    found: list[Part] = [(Mesh(tray.vertices, tray.faces[:, ::-1], tray.uv), Material("matte", picture=pulp))]
    front_first = [(r, c) for r in range(rows) for c in range(columns)]
    bad = {front_first[i] for i in rng.permutation(columns * 2)[:rotten]}
    for row in range(rows):
        for column in range(columns):
            peel = materials.glaze(rng, tone=colour, size=384) * rng.uniform(0.92, 1.05)
            kind = (row, column) in bad
            if kind:
                peel = damage.spotted(
                    peel,
                    rng,
                    colours=[(0.86, 0.86, 0.8), (0.42, 0.52, 0.43), (0.24, 0.33, 0.3)],
                    share=rng.uniform(0.4, 0.7),
                )
            fruit = sphere(3.55, n=64, displace=_pores(rng))
            if kind:
                fruit = damage.dent(fruit, at=(0.6, -1.2, 3.2), radius=3.0, push=(0, 0.2, -1.1))
            fruit = fruit.moved(
                turn=(0, 0, 0) if kind else rng.uniform(0, 360, 3), scale=(1, 1, rng.uniform(0.92, 1.0))
            )
            place = (
                (column - (columns - 1) / 2) * pitch + rng.normal(0, 0.15),
                (row - (rows - 1) / 2) * pitch + rng.normal(0, 0.15),
                4.1,
            )
            found.append((fruit.moved(place), Material("rough_plastic", picture=peel.clip(0, 1), roughness=0.33)))
            if not kind:
                found.append(
                    (
                        sphere(0.35, n=10).moved((place[0] + 0.3, place[1] - 0.6, place[2] + 3.3), scale=(1, 1, 0.4)),
                        Material("matte", hue("#5d6b2a")),
                    )
                )
    return found
