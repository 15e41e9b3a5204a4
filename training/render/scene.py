"""Goods in a place, seen by a camera: builds the scene for mitsuba and traces it.

mitsuba is imported where it is used: it is a development extra. Knows nothing of the catalogue's format.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from training.render import places
from training.render.materials import Material
from training.render.meshes import Mesh, Points, vertex_normals

Part = tuple[Mesh, Material]


@dataclass(frozen=True)
class Camera:
    """Where the photo is taken from, about the middle of the goods; angles in degrees.

    azimuth 0 looks along +y; fill is the share of the photo's height that the goods take; shift moves the aim,
    in shares of their size; aperture in cm.
    """

    azimuth: float = 0.0
    elevation: float = 25.0
    roll: float = 0.0
    fill: float = 0.62
    shift: tuple[float, float] = (0.0, 0.0)
    field_of_view: float = 38.0
    aperture: float = 0.12


def trace(
    goods: Sequence[Part],
    *,
    place: str,
    light: str,
    camera: Camera,
    size: tuple[int, int],
    samples: int,
    seed: int,
    threads: int,
) -> dict[str, Points]:
    """Return linear colour (h, w, 3), albedo (h, w, 3), normal (h, w, 3) and depth (h, w, 1) of the scene.

    samples : light paths a pixel, best a square number
    """
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    import_module("drjit").set_thread_count(threads)
    rng = np.random.default_rng(seed)
    low = np.min([mesh.vertices.min(0) for mesh, _ in goods], axis=0)
    high = np.max([mesh.vertices.max(0) for mesh, _ in goods], axis=0)
    surroundings, sky, lamps = places.build(place, light, rng, low=low, high=high)
    with tempfile.TemporaryDirectory() as folder:
        scene: dict[str, Any] = {
            "type": "scene",
            "integrator": _integrator(any(material.kind == "glass" for _, material in goods)),
            "sensor": _sensor(mi, low, high, camera, size, samples),
        }
        scene["sky"] = {
            "type": "envmap",
            "bitmap": mi.Bitmap(np.asarray(sky, np.float32)),
            "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
        }
        for k, lamp in enumerate(lamps):
            scene[f"lamp{k}"] = _lamp(mi, lamp, camera=scene["sensor"]["to_world"])
        for k, (mesh, material) in enumerate([*goods, *surroundings]):
            path = Path(folder) / f"{k}.ply"
            path.write_bytes(ply(mesh))
            scene[f"part{k}"] = {
                "type": "ply",
                "filename": str(path),
                "face_normals": not mesh.smooth,
                **_surface(mi, material),
            }
        layers = np.array(mi.render(mi.load_dict(scene), spp=samples, seed=seed))
    return {
        "colour": layers[..., :3],
        "albedo": layers[..., -7:-4],
        "normal": layers[..., -4:-1],
        "depth": layers[..., -1:],
    }


def _integrator(glass: bool) -> dict[str, Any]:
    return {
        "type": "aov",
        "aovs": "al:albedo,nn:sh_normal,dd:depth",
        "path": {"type": "path", "max_depth": 12 if glass else 4, "rr_depth": 6 if glass else 3},
    }


def _sensor(mi: Any, low: Points, high: Points, camera: Camera, size: tuple[int, int], samples: int) -> dict[str, Any]:
    middle = (low + high) / 2
    radius = float(np.linalg.norm(high - low)) / 2
    width, height = size
    a, e = np.radians(camera.azimuth), np.radians(camera.elevation)
    away = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    across = np.array([np.cos(a), np.sin(a), 0.0])
    distance = radius / np.sin(np.radians(camera.field_of_view) / 2) / camera.fill * 0.66
    aim = middle + across * camera.shift[0] * radius + np.array([0, 0, camera.shift[1] * radius])
    eye = aim + away * distance
    eye[2] = max(float(eye[2]), 1.5)
    look = mi.ScalarTransform4f().look_at(origin=eye.tolist(), target=aim.tolist(), up=[0, 0, 1])
    return {
        "type": "thinlens",
        "fov": camera.field_of_view,
        "fov_axis": "smaller",
        "aperture_radius": max(camera.aperture, 1e-3),
        "focus_distance": float(distance - 0.35 * radius),
        "to_world": look @ mi.ScalarTransform4f().rotate([0, 0, 1], camera.roll),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
        },
        "sampler": {"type": "multijitter", "sample_count": samples},
    }


def _lamp(mi: Any, lamp: places.Lamp, *, camera: Any) -> dict[str, Any]:
    at = mi.ScalarTransform4f().look_at(origin=list(lamp.at), target=list(lamp.towards), up=[0, 0.01, 1])
    if lamp.on_camera:
        at = camera @ mi.ScalarTransform4f().translate([3.0, 2.0, -0.5])
    emitter = {"type": "area", "radiance": {"type": "rgb", "value": list(lamp.radiance)}}
    return {
        "type": "rectangle",
        "to_world": at @ mi.ScalarTransform4f().scale([lamp.size, lamp.size, 1]),
        "emitter": emitter,
    }


def linear(colour: Sequence[float]) -> list[float]:
    """Return the linear light of a display colour."""
    c = np.asarray(colour, float)
    return [float(x) for x in np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)]


def _surface(mi: Any, material: Material) -> Mapping[str, Any]:
    colour: dict[str, Any] = {"type": "rgb", "value": linear(material.colour)}
    if material.picture is not None:
        pixels = mi.Bitmap((np.asarray(material.picture).clip(0, 1) * 255).astype(np.uint8))
        pixels.set_srgb_gamma(True)
        colour = {"type": "bitmap", "bitmap": pixels, "wrap_mode": "repeat"}
    if material.kind == "glow":
        value = [material.glow * x for x in linear(material.colour)]
        return {"emitter": {"type": "area", "radiance": {"type": "rgb", "value": value}}}
    if material.kind == "matte":
        return {"bsdf": {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": colour}}}
    if material.kind == "glass":
        return {"bsdf": {"type": "dielectric", "int_ior": 1.5, "specular_transmittance": colour}}
    if material.kind == "metal":
        bsdf = {
            "type": "roughconductor",
            "material": "none",
            "alpha": material.roughness,
            "specular_reflectance": colour,
        }
    elif material.kind == "plastic" and material.roughness < 0.05:
        bsdf = {"type": "plastic", "diffuse_reflectance": colour}
    else:
        bsdf = {"type": "roughplastic", "diffuse_reflectance": colour, "alpha": material.roughness}
    return {"bsdf": {"type": "twosided", "bsdf": bsdf}}


def ply(mesh: Mesh) -> bytes:
    """Return the mesh as a binary PLY file with uv, and with normals where it is smooth."""
    names = ["x", "y", "z", *(["nx", "ny", "nz"] if mesh.smooth else []), "u", "v"]
    uv = mesh.uv * [1, -1] + [0, 1]  # mitsuba counts v from the top of a picture
    columns = [mesh.vertices, *([vertex_normals(mesh)] if mesh.smooth else []), uv]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(mesh.vertices)}"]
    head += [f"property float {name}" for name in names]
    head += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices", "end_header", ""]
    corners = mesh.faces.astype("<i4")
    counted = np.empty(len(corners), dtype=[("n", "u1"), ("v", "<i4", 3)])
    counted["n"], counted["v"] = 3, corners
    return "\n".join(head).encode() + np.hstack(columns).astype("<f4").tobytes() + counted.tobytes()
