"""The list of photos to draw, read from `catalogue.yaml`, and the drawing of one of them.

An entry: photo (file name without .jpg), place, light, things [{kind, at, turn, and options of its builder}],
camera, handling, size. The seed of a photo is the checksum of its name, so that the order of the list is free.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from training.render import furnishing, household, photos, scene, tableware
from training.render.materials import Material
from training.render.meshes import Mesh
from training.render.photos import Handling
from training.render.scene import Camera

Part = tuple[Mesh, Material]
TRACED = 0.8  # share of a photo's side that is traced; the rest is enlargement, as phones do it
CATALOGUE = Path(__file__).with_name("catalogue.yaml")

BUILDERS: dict[str, Callable[..., list[Part]]] = {
    "pottery": tableware.pottery,
    "glass": tableware.glass,
    "thermos": tableware.thermos,
    "perfume": tableware.perfume,
    "stockpot": tableware.stockpot,
    "skillet": tableware.skillet,
    "candle": tableware.candle,
    "planter": tableware.planter,
    "fruit_tray": tableware.fruit_tray,
    "carton": household.carton,
    "book": household.book,
    "phone": household.phone,
    "power_bank": household.power_bank,
    "pedal": household.pedal,
    "frame": household.frame,
    "paper": household.paper,
    "clock": household.clock,
    "lamp": furnishing.lamp,
    "stool": furnishing.stool,
    "chair": furnishing.chair,
    "speaker": furnishing.speaker,
    "headphones": furnishing.headphones,
    "pillow": furnishing.pillow,
    "standing_pillow": furnishing.standing_pillow,
    "globe": furnishing.globe,
}


@dataclass(frozen=True)
class Shot:
    """One photo of the catalogue."""

    photo: str
    things: tuple[Mapping[str, Any], ...]
    place: str = "studio"
    light: str = "studio"
    camera: Camera = field(default_factory=Camera)
    handling: Handling = field(default_factory=Handling)
    size: tuple[int, int] = (640, 480)

    @property
    def seed(self) -> int:
        return zlib.crc32(self.photo.encode())


def read_catalogue(path: Path = CATALOGUE) -> list[Shot]:
    """Return the photos of the list. Raises TypeError on an unknown key, ValueError on a name met twice."""
    shots = [_shot(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    names = [shot.photo for shot in shots]
    if len(set(names)) != len(names):
        raise ValueError("a photo is listed twice")
    return shots


def _shot(entry: Mapping[str, Any]) -> Shot:
    options = dict(entry)
    options["things"] = tuple(options["things"])
    handling = _fixed(options.get("handling", {}))
    if options.get("place", "studio") == "studio":
        handling = {"studio": True, "grain": 0.006, "vignette": 0.0, **handling}
    options["camera"], options["handling"] = Camera(**_fixed(options.get("camera", {}))), Handling(**handling)
    if "size" in options:
        options["size"] = tuple(options["size"])
    return Shot(**options)


def _fixed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def build_goods(things: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> list[Part]:
    """Return the parts of all things, each turned about z and put in its place."""
    found: list[Part] = []
    for thing in things:
        options = _fixed(thing)
        at, turn = options.pop("at", (0, 0, 0)), options.pop("turn", 0.0)
        about = turn if isinstance(turn, tuple) else (0, 0, turn)
        own = np.random.default_rng(options.pop("seed", int(rng.integers(1 << 31))))
        for mesh, material in BUILDERS[options.pop("kind")](own, **options):
            found.append((mesh.moved(at, turn=about), material))
    return found


def draw(shot: Shot, *, samples: int, threads: int = 1) -> bytes:
    """Return the photo as JPEG; the same shot and samples give the same photo."""
    rng = np.random.default_rng(shot.seed)
    goods = build_goods(shot.things, rng)
    layers = scene.trace(
        goods,
        place=shot.place,
        light=shot.light,
        camera=shot.camera,
        size=(round(shot.size[0] * TRACED), round(shot.size[1] * TRACED)),
        samples=samples,
        seed=shot.seed,
        threads=threads,
    )
    light = photos.enlarged(photos.denoised(layers), shot.size)
    picture = photos.developed(light, shot.handling, rng, albedo=layers["albedo"])
    return photos.jpeg(picture, quality=shot.handling.quality)
