"""The parts of the photo drawing that need no ray tracer: meshes, damage, pictures, the catalogue."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from training.render import damage, tableware
from training.render.catalogue import BUILDERS, build_goods, read_catalogue
from training.render.meshes import box, cushion, is_closed, merge, revolve, shell_parts, sphere, tube, vessel
from training.render.photos import Handling, developed, jpeg

SAMPLES = Path(__file__).parents[2] / "datasets" / "samples"


@pytest.mark.parametrize(
    "mesh",
    [
        box(8, 5, 3, bevel=0.4),
        sphere(2.0),
        revolve([[0, 4], [2, 4], [2, 0], [0, 0]]),
        tube([[0, 0, 0], [1, 0, 2], [3, 1, 4]], 0.3),
        cushion(40, 40, 12),
    ],
    ids=["box", "sphere", "revolve", "tube", "cushion"],
)
def test_a_solid_is_closed(mesh) -> None:
    assert is_closed(mesh)


@pytest.mark.parametrize("shape", sorted(tableware.PROFILES))
def test_a_vessel_stays_closed_when_it_breaks(shape: str) -> None:
    profile, wall = tableware.PROFILES[shape]
    shell = vessel(profile, wall=wall, n_along=60, n_around=80)
    rng = np.random.default_rng(3)
    label = damage.pieces(shell, rng, n=6, about=shell.centres()[0, 60], spread=0.25)
    assert len(np.unique(label)) == 6
    for piece in range(6):
        parts = [part for part in shell_parts(shell, label == piece) if part is not None]
        assert len(parts) == 2
        assert is_closed(merge(parts))


def test_a_box_has_the_volume_of_its_sides() -> None:
    mesh = box(4, 3, 2, bevel=0.01)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    assert float((a * np.cross(b, c)).sum() / 6) == pytest.approx(24, rel=0.01)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_goods_are_the_same_for_the_same_seed(kind: str) -> None:
    options = {"shape": "mug"} if "shape" in inspect.signature(BUILDERS[kind]).parameters else {}
    first, second = (build_goods([{"kind": kind, **options}], np.random.default_rng(7)) for _ in range(2))
    for (mesh, material), (other, other_material) in zip(first, second, strict=True):
        assert np.array_equal(mesh.vertices, other.vertices)
        assert np.isfinite(mesh.vertices).all()
        assert material == other_material
        assert material.picture is None or np.array_equal(material.picture, other_material.picture)


def test_cracks_and_stains_change_a_picture_and_keep_it_in_range() -> None:
    rng = np.random.default_rng(1)
    white = np.ones((128, 128, 3)) * 0.9
    paths = damage.crack_paths(rng, start=(0.5, 0.0), heading=1.5, length=0.8)
    for harmed in (
        damage.cracked(white, paths, width=2),
        damage.stained(white, rng, at=(0.5, 0.5), radius=0.2, colour=(0.5, 0.4, 0.3)),
    ):
        assert harmed.min() < 0.7
        assert harmed.min() >= 0.0
        assert harmed.max() <= 1.0


def test_a_shaken_photo_is_duller_than_a_still_one() -> None:
    light = np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((8, 8)))[..., None] * np.ones(3) + 0.05
    still, shaken = (
        developed(light, Handling(shake=shake, grain=0.0), np.random.default_rng(0), albedo=light) for shake in (0, 8)
    )
    assert np.abs(np.diff(shaken, axis=1)).max() < np.abs(np.diff(still, axis=1)).max()
    assert jpeg(still)[:2] == b"\xff\xd8"


def test_the_catalogue_draws_every_photo_of_the_samples_and_no_other() -> None:
    lines = (SAMPLES / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    filed = [photo["path"] for case in map(json.loads, lines) for photo in case["photos"]]
    assert sorted(filed) == sorted(f"photos/{shot.photo}.jpg" for shot in read_catalogue())
    assert all((SAMPLES / path).exists() for path in filed)
