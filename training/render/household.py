"""Boxes and things like boxes: cartons, books, phones, power banks, pedals, picture frames, papers, speakers, clocks.

Each builder takes its options and a generator and returns parts standing on z = 0 about the z axis, front at -y.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from training.render import damage, materials
from training.render.materials import Material, hue
from training.render.meshes import Mesh, Points, box, merge, plane, revolve, sheet, tube

Part = tuple[Mesh, Material]
CELLS = {"left": (1, 0), "top": (1, 1), "bottom": (1, 2), "front": (0, 0), "right": (0, 1), "back": (0, 2)}


def atlas(base: Points, sides: Mapping[str, Points]) -> Points:
    """Return the picture of a box: `base` on each of its six sides unless `sides` says otherwise."""
    height, width = base.shape[:2]
    whole = np.tile(base, (2, 3, 1))
    for side, picture in sides.items():
        row, column = CELLS[side]
        image = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8)).resize((width, height))
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = np.asarray(image, float) / 255
    return whole


def carton(
    rng: np.random.Generator,
    *,
    width: float = 28,
    depth: float = 20,
    height: float = 16,
    harm: str = "",
    wet: bool = False,
    waybill: bool = True,
) -> list[Part]:
    """Return a taped shipping carton. harm: '' | corner (folded in) | side (stove in)."""
    paper = materials.cardboard(rng)
    top = paper.copy()
    top[226:286] = top[226:286] * 0.35 + np.asarray(hue("#d8bd8c")) * 0.65
    top[255:257] *= 0.6
    front = paper.copy()
    front[:120, 226:286] = front[:120, 226:286] * 0.35 + np.asarray(hue("#d8bd8c")) * 0.65
    if waybill:
        front = materials.written(
            front,
            [
                ("EXPRESS", 0.55, 0.33, 0.07),
                ("SF 1402 8837 5521", 0.54, 0.62, 0.035),
                ("No. 88 Lane 12", 0.54, 0.69, 0.03),
                ("1/1   2.4 kg", 0.54, 0.75, 0.03),
            ],
            area=(0.52, 0.3, 0.94, 0.82),
        )
        front = materials.barcode(front, rng, area=(0.55, 0.44, 0.91, 0.58))
    front = materials.written(front, [("FRAGILE", 0.08, 0.6, 0.1)], ink="#a32a22")
    if wet:
        front = damage.stained(front, rng, at=(0.3, 0.85), radius=0.34, colour=(0.5, 0.42, 0.36))
    body = box(width, depth, height, bevel=0.35, n=44)
    skin = Material("matte", picture=atlas(paper, {"top": top, "front": front}))
    if harm == "corner":
        body = damage.crush(body, rng, at=(-width / 2, -depth / 2, height), radius=0.62 * width, depth=0.26 * width)
        body = damage.crush(body, rng, at=(width / 2, -depth / 2, 0), radius=0.3 * width, depth=0.08 * width)
    elif harm == "side":
        body = damage.dent(
            body,
            at=(-0.12 * width, -depth / 2, height * 0.55),
            radius=0.42 * width,
            push=(0, 0.36 * depth, -0.04 * height),
        )
        body = damage.crush(body, rng, at=(width / 2, -depth / 2, height), radius=0.5 * width, depth=0.16 * width)
    return [(body, skin)]


def book(
    rng: np.random.Generator,
    *,
    colour: str = "#7a2f2a",
    title: str = "The Salt Road",
    harm: str = "",
    upright: bool = False,
) -> list[Part]:
    """Return a hardback lying face up, or leaning back upright. harm: '' | stain (water, torn corner)."""
    cover = materials.cloth(rng, tone=colour, threads=150, size=768)
    if title:
        words = title.split(" ")
        lines = [(word, 0.14, 0.16 + 0.14 * k, 0.12) for k, word in enumerate(words)]
        cover = materials.written(cover, [*lines, ("M. HALLORAN", 0.14, 0.84, 0.05)], ink="#e8d9a8")
        y, x = np.mgrid[0:768, 0:768] / 768
        ring = (np.abs(np.hypot(x - 0.66, (y - 0.68)) - 0.13) < 0.006) | (
            np.abs(y - 0.68 - 0.03 * np.sin(20 * x)) < 0.006
        ) & (x > 0.45) & (x < 0.9)
        cover = np.where(ring[..., None], hue("#e8d9a8"), cover)
    back = cover
    if harm == "stain":
        cover = damage.stained(cover, rng, at=(0.78, 0.22), radius=0.3, colour=(0.45, 0.38, 0.3), strength=0.95)
        cover = damage.stained(cover, rng, at=(0.25, 0.74), radius=0.17, colour=(0.4, 0.34, 0.28), strength=0.95)
        y, x = np.mgrid[0:768, 0:768] / 768
        torn = (x + (1 - y)) > 1.83 + 0.02 * np.sin(40 * y) + 0.01 * np.sin(97 * x)
        torn |= (y > 0.93 + 0.02 * np.sin(23 * x)) & (x > 0.3) & (x < 0.62)
        cover = np.where(torn[..., None], (0.86, 0.81, 0.7), cover)
        cover = damage.scratched(cover, rng, n=26, tone=0.75, length=0.16)
    y = np.mgrid[0:256, 0:256][0]
    pages = (
        np.ones((256, 256, 3))
        * np.asarray([0.9, 0.86, 0.77])
        * (1 + 0.1 * np.sin(y * 1.9) + 0.06 * rng.normal(0, 1, (256, 1)))[..., None]
    )
    boards = [
        box(14.2, 21.2, 0.32, bevel=0.1),
        box(14.2, 21.2, 0.32, bevel=0.1).moved((0, 0, 2.9)),
        box(0.35, 21.2, 3.2, bevel=0.15).moved((-7.05, 0, 0)),
    ]
    skins = [plain_atlas(back), atlas(back, {"top": cover}), plain_atlas(back)]
    found: list[Part] = [
        (mesh, Material("rough_plastic", picture=skin, roughness=0.45))
        for mesh, skin in zip(boards, skins, strict=True)
    ]
    found.append(
        (
            box(13.4, 20.4, 2.6, bevel=0.06).moved((0.2, 0, 0.31)),
            Material("matte", picture=plain_atlas(pages.clip(0, 1))),
        )
    )
    if upright:
        return [(mesh.moved((0, 0, 10.6), turn=(72, 0, 0)), material) for mesh, material in found]
    return found


def plain_atlas(picture: Points) -> Points:
    return atlas(materials.plain("#ffffff"), dict.fromkeys(CELLS, picture))


def phone(rng: np.random.Generator, *, colour: str = "#20242a", harm: str = "", lying: bool = True) -> list[Part]:
    """Return a phone, screen lit. harm: '' | corner (glass shattered from a corner)."""
    y, x = np.mgrid[0:1024, 0:512] / 1024
    screen = np.stack([0.16 + 0.5 * y, 0.3 + 0.15 * np.sin(3 * x + 4 * y), 0.62 - 0.25 * y], -1)
    blob = np.exp(-((np.hypot(x - 0.3, y - 0.62) / 0.22) ** 2))[..., None]
    screen = (screen * (1 - blob) + np.asarray([0.95, 0.62, 0.4]) * blob).clip(0, 1)
    screen = materials.written(screen, [("09:41", 0.24, 0.12, 0.09)], ink="#ffffff")
    for row in range(2):
        for column in range(4):
            top, left = 0.72 + 0.11 * row, 0.09 + 0.22 * column
            tone = ["#f2f2f2", "#5ac466", "#f0b93a", "#e85d4a", "#4a90e2", "#333333", "#b067d9", "#30b0c7"][
                4 * row + column
            ]
            screen = materials.written(screen, [], area=(left, top, left + 0.15, top + 0.075), paper=tone)
    if harm == "corner":
        hit = (0.86, 0.1)
        paths = []
        for heading in np.linspace(0.9, 4.6, 13):
            paths += damage.crack_paths(
                rng,
                start=hit,
                heading=float(heading + rng.normal(0, 0.1)),
                length=float(rng.uniform(0.18, 0.95)),
                branches=3,
            )
        for radius in (0.05, 0.09, 0.15):
            ring = [
                (
                    hit[0] + radius * 2 * np.cos(t) + rng.normal(0, 0.006),
                    hit[1] + radius * np.sin(t) + rng.normal(0, 0.004),
                )
                for t in np.linspace(1.0, 4.4, 14)
            ]
            paths.append([(float(a), float(b)) for a, b in ring])
        screen = damage.cracked(screen, paths, width=1.6, tone=0.92, halo=0.15)
        shattered = (np.hypot((x - hit[0] / 2), y - hit[1]) < 0.045)[..., None]
        screen = np.where(shattered & (rng.random((1024, 512, 1)) < 0.55), 0.9, screen)
    body = box(7.4, 15.2, 0.8, bevel=0.36, n=16)
    glow = materials.plain("#050505")
    display = box(6.7, 14.4, 0.02, bevel=0.005)
    found: list[Part] = [
        (body, Material("metal", hue(colour), roughness=0.2)),
        (box(7.15, 14.95, 0.05, bevel=0.02).moved((0, 0, 0.77)), Material("plastic", hue("#060607"), roughness=0.03)),
        (display.moved((0, 0, 0.825)), Material("plastic", picture=atlas(glow, {"top": screen}), roughness=0.03)),
    ]
    return found if lying else [(mesh.moved((0, 0, 7.5), turn=(74, 0, 0)), material) for mesh, material in found]


def power_bank(rng: np.random.Generator, *, colour: str = "#f3f3f1", swollen: bool = False) -> list[Part]:
    """Return a power bank lying flat; swollen: its shell bulges and the seam gapes."""
    face = materials.plain(colour)
    face = materials.written(face, [("20000mAh", 0.3, 0.7, 0.06), ("22.5W", 0.4, 0.78, 0.05)], ink="#f2f5f7")
    for k in range(4):
        face = materials.written(
            face, [], area=(0.42 + 0.045 * k, 0.12, 0.44 + 0.045 * k, 0.13), paper="#58b0ff" if k < 3 else "#cccccc"
        )
    skin = Material("rough_plastic", picture=atlas(materials.plain(colour), {"top": face}), roughness=0.2)
    lower, upper = box(7.2, 14.4, 1.5, bevel=0.6, n=36), box(7.2, 14.4, 1.5, bevel=0.6, n=36).moved((0, 0, 1.3))
    port = box(0.95, 0.3, 0.38, bevel=0.15).moved((1.2, -7.1, 1.05))
    if swollen:
        upper = damage.dent(upper, at=(0.3, 0.8, 2.8), radius=6.6, push=(0, 0, 2.3)).moved(
            (0, 0, 0.5), turn=(-2.5, 3.5, 0)
        )
        lower = damage.dent(lower, at=(0, 0, 1.4), radius=6, push=(0, 0, 0.6))
        filler = box(6.6, 13.8, 1.4, bevel=0.3).moved((0, 0, 1.0))
        return [
            (lower, skin),
            (upper, skin),
            (port, Material("matte", hue("#111111"))),
            (filler, Material("metal", hue("#9a9ca0"), roughness=0.3)),
        ]
    return [(lower, skin), (upper, skin), (port, Material("matte", hue("#111111")))]


def pedal(rng: np.random.Generator, *, colour: str = "#2c7a6b", name: str = "TIDE DRIVE") -> list[Part]:
    """Return a guitar effects pedal with three knobs, a lamp and a foot switch."""
    face = materials.glaze(rng, tone=colour, size=512)
    face = materials.written(
        face,
        [(name, 0.13, 0.46, 0.13), ("TONE", 0.12, 0.06, 0.05), ("GAIN", 0.44, 0.06, 0.05), ("LEVEL", 0.74, 0.06, 0.05)],
        ink="#f2ead2",
    )
    skin = Material(
        "rough_plastic", picture=atlas(materials.glaze(rng, tone=colour, size=512), {"top": face}), roughness=0.18
    )
    found: list[Part] = [(box(7.2, 11.8, 3.8, bevel=0.35), skin)]
    for k in (-1, 0, 1):
        knob = revolve([[0, 1.5], [0.75, 1.5], [0.9, 1.3], [1.0, 0], [0, 0]], n_along=40)
        found.append((knob.moved((2.2 * k, 3.4, 3.8)), Material("plastic", hue("#17171a"), roughness=0.15)))
        turn = float(rng.uniform(-130, 130))
        found.append(
            (
                box(0.12, 0.8, 0.06, bevel=0.02).moved((0, 0.35, 0)).moved((2.2 * k, 3.4, 5.3), turn=(0, 0, turn)),
                Material("matte", hue("#f5f5f5")),
            )
        )
    foot = revolve([[0, 1.6], [0.7, 1.6], [0.8, 1.4], [0.8, 0.5], [1.1, 0.45], [1.1, 0], [0, 0]], n_along=60)
    found.append((foot.moved((0, -3.4, 3.8)), Material("metal", hue("#d5d5d5"), roughness=0.1)))
    found.append(
        (
            revolve([[0, 0.35], [0.3, 0.2], [0.32, 0], [0, 0]], n_along=20).moved((0, -1.4, 3.8)),
            Material("plastic", hue("#c11f1f"), roughness=0.1),
        )
    )
    for side in (-1, 1):
        jack = tube([[side * 3.5, 1.0, 2.0], [side * 4.2, 1.0, 2.0]], 0.62)
        found.append((jack, Material("metal", hue("#bbbbbb"), roughness=0.15)))
    return found


def frame(
    rng: np.random.Generator,
    *,
    wood: str = "#3a2a20",
    tones: tuple[str, ...] = ("#e9c9a4", "#d9553f", "#7d8fa0", "#4c6272", "#243642"),
    print_seed: int = 5,
) -> list[Part]:
    """Return a framed print that leans back, face to -y."""
    picture = materials.painting(np.random.default_rng(print_seed), tones=tones)
    mount = materials.plain("#f5f2ea", height=640, width=500)
    mount[70:570, 60:440] = (
        np.asarray(Image.fromarray((picture * 255).astype(np.uint8)).resize((380, 500)), float) / 255
    )
    skin = Material("rough_plastic", picture=materials.wood(rng, tone=wood, planks=1, size=512), roughness=0.25)
    bars = [box(30, 2.4, 2.2, bevel=0.35).moved((0, 0, z)) for z in (0, 35.8)]
    bars += [box(2.2, 2.4, 38, bevel=0.35).moved((x, 0, 0)) for x in (-13.9, 13.9)]
    found: list[Part] = [(bar, skin) for bar in bars]
    found.append(
        (plane(26.5, 34.5).moved((0, -0.3, 19), turn=(90, 0, 0)), Material("plastic", picture=mount, roughness=0.12))
    )
    return [(mesh.moved(turn=(-11, 0, 0)), material) for mesh, material in found]


def paper(
    rng: np.random.Generator, *, heading: str = "PURCHASE NOTE", lines: tuple[str, ...] = (), stamp: bool = False
) -> list[Part]:
    """Return a sheet of paper lying down, a little curled."""
    page = materials.plain("#f3f1ea", height=1131, width=800)
    body = [(line, 0.1, 0.24 + 0.055 * k, 0.026) for k, line in enumerate(lines)]
    page = materials.written(page, [(heading, 0.1, 0.08, 0.045), ("-" * 60, 0.1, 0.16, 0.024), *body], ink="#2a2f45")
    if stamp:
        y, x = np.mgrid[0:1131, 0:800] / 800
        ring = (np.abs(np.hypot(x - 0.72, y - 1.15) - 0.12) < 0.008) | (np.hypot(x - 0.72, y - 1.15) < 0.025)
        page = np.where(ring[..., None], np.asarray(hue("#c2342b")) * 0.8 + 0.2 * page, page)
    y, x = np.mgrid[0:40, 0:30]
    gx, gy = (x / 29 - 0.5) * 21, (0.5 - y / 39) * 29.7
    curl = (
        0.05
        + 0.9 * (np.clip(gx / 10.5, 0, 1) ** 3) * np.clip(gy / 15 + 0.5, 0, 1)
        + 0.12 * np.sin(gx / 3 + gy / 7) ** 2
    )
    mesh = sheet(np.stack([gx, gy, curl], -1))
    return [(Mesh(mesh.vertices, mesh.faces[:, ::-1], mesh.uv), Material("matte", picture=page))]


def clock(rng: np.random.Generator, *, colour: str = "#3f5a52", harm: str = "") -> list[Part]:
    """Return a mantel clock. harm: '' | scuffed (case scratched and chipped, glass cracked)."""
    size = 768
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    dial = np.ones((size, size, 3)) * np.asarray([0.94, 0.91, 0.83])
    angle, radius = np.arctan2(x, -y), np.hypot(x, y)
    ticks = (np.abs(((angle / (2 * np.pi) * 12 + 0.5) % 1) - 0.5) < 0.03) & (radius > 0.36) & (radius < 0.43)
    ticks |= (np.abs(((angle / (2 * np.pi) * 60 + 0.5) % 1) - 0.5) < 0.06) & (radius > 0.41) & (radius < 0.43)
    for at, reach, thick in ((1.1, 0.22, 0.016), (4.3, 0.33, 0.01)):
        along, across = x * np.sin(at) - y * np.cos(at), x * np.cos(at) + y * np.sin(at)
        ticks |= (along > -0.04) & (along < reach) & (np.abs(across) < thick)
    dial = np.where((ticks | (radius < 0.022))[..., None], 0.1, dial)
    case_picture = materials.glaze(rng, tone=colour)
    if harm:
        paths = damage.crack_paths(rng, start=(0.2, 0.12), heading=0.9, length=0.75, branches=4)
        paths += damage.crack_paths(rng, start=(0.2, 0.12), heading=0.2, length=0.5, branches=2)
        dial = damage.cracked(dial, paths, width=3.0, tone=0.25, halo=0.3)
        case_picture = damage.scratched(case_picture, rng, n=60, tone=0.8, length=0.3)
        case_picture = damage.spotted(case_picture, rng, colours=[(0.8, 0.78, 0.72)], share=0.05)
    case = box(18, 6, 19, bevel=2.6, n=14)
    ring = tube([[7 * np.cos(t), 0, 7 * np.sin(t)] for t in np.linspace(0, 2 * np.pi, 80)], 0.5, n_along=120)
    face = sheet(np.stack([13.4 * x[::8, ::8], 0 * x[::8, ::8], -13.4 * y[::8, ::8]], -1))
    inside = np.linalg.norm(face.vertices[face.faces].mean(1), axis=1) < 6.8
    front = Mesh(face.vertices, face.faces[inside][:, ::-1], face.uv)
    found: list[Part] = [
        (case, Material("rough_plastic", picture=plain_atlas(case_picture), roughness=0.16)),
        (front.moved((0, -3.08, 10)), Material("plastic", picture=dial, roughness=0.04)),
        (ring.moved((0, -3.0, 10)), Material("metal", hue("#d2a95c"), roughness=0.15)),
    ]
    feet = merge(
        [
            revolve([[0, 0.8], [0.8, 0.8], [0.9, 0.4], [0.7, 0], [0, 0]], n_along=20).moved((x0, y0, 0))
            for x0 in (-6.5, 6.5)
            for y0 in (-1.6, 1.6)
        ]
    )
    return [(mesh.moved((0, 0, 0.7)), material) for mesh, material in found] + [
        (feet, Material("metal", hue("#d2a95c"), roughness=0.15))
    ]
