"""A model folder is loaded whole as it was pinned, or not at all; nothing in it ever runs."""

import json
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.encoders import default_cache_dir
from models.errors import WeightsError
from models.registry import SHIPPED_DIR, load_suggester, verified_manifest, write_manifest
from tests.suggesters import fitted_ruling

AT = datetime(2026, 6, 1, tzinfo=UTC)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pinned folder with a JSON file, a tensor file and a subfolder."""
    made = tmp_path / "model"
    fitted_ruling().save(made / "ruling")
    save_file({"weight": np.arange(6.0)}, made / "heads.safetensors")
    write_manifest(made, calibrated_on="simulated", trained_at=AT)
    return made


def test_an_untouched_folder_is_accepted_and_says_what_it_is(folder: Path) -> None:
    manifest = verified_manifest(folder)
    assert set(manifest.files) == {"ruling/ruling.json", "heads.safetensors"}
    assert (manifest.calibrated_on, manifest.trained_at) == ("simulated", AT)
    assert manifest.model_version.startswith("ruling/")


def test_the_version_follows_the_weights(folder: Path) -> None:
    first = verified_manifest(folder).model_version
    assert write_manifest(folder, calibrated_on="outcomes", trained_at=AT) == first
    (folder / "heads.safetensors").write_bytes(b"other")
    assert write_manifest(folder, calibrated_on="outcomes", trained_at=AT) != first


@pytest.mark.parametrize("name", ["heads.safetensors", "ruling/ruling.json"])
def test_a_flipped_byte_is_refused_by_name(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(WeightsError, match=rf"{name} is not the file that was pinned"):
        verified_manifest(folder)


def test_a_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / "heads.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"differ in heads\.safetensors"):
        verified_manifest(folder)


@pytest.mark.parametrize("name", ["extra.json", "ruling/extra.safetensors", "model.pkl", "code.py"])
def test_a_file_that_is_not_pinned_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match=name):
        verified_manifest(folder)


@pytest.mark.parametrize("name", ["model.pkl", "model.bin", "model.pt", "model.joblib", "run.py", "plain"])
def test_kinds_that_could_run_code_are_refused_though_pinned(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    write_manifest(folder, calibrated_on="simulated", trained_at=AT)
    with pytest.raises(WeightsError, match=rf"{name} is of a kind that is never loaded"):
        verified_manifest(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["heads.safetensors", "ruling/ruling.json"])
def test_a_pickle_under_an_honest_name_is_never_unpickled(folder: Path, tmp_path: Path, name: str) -> None:
    for part in ("chat", "damage", "listing"):
        (folder / part).mkdir()
        for file in ("model.json", "heads.safetensors", "delta.safetensors", "head.json", "head.safetensors"):
            (folder / part / file).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    write_manifest(folder, calibrated_on="simulated", trained_at=AT)
    with pytest.raises(WeightsError):
        load_suggester(folder, cache_dir=default_cache_dir())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"files": ["heads.safetensors", "ruling/ruling.json"]},
        {"files": {}},
        {"calibrated_on": "guesses"},
        {"model_version": ""},
        {"trained_at": "yesterday"},
        {"surprise": 1},
    ],
)
def test_a_manifest_of_another_shape_is_refused(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"manifest\.json can't be read"):
        verified_manifest(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"{"])
def test_a_broken_or_absent_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"manifest\.json can't be read"):
        load_suggester(folder, cache_dir=default_cache_dir())
    (folder / "manifest.json").unlink()
    with pytest.raises(WeightsError, match=r"manifest\.json can't be read"):
        load_suggester(folder, cache_dir=default_cache_dir())


def test_an_incomplete_folder_is_our_own_error(folder: Path) -> None:
    with pytest.raises(WeightsError):
        load_suggester(folder, cache_dir=default_cache_dir())


def test_a_manifest_reaches_no_file_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["files"]["../outside.json"] = "0" * 64
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"outside\.json"):
        verified_manifest(folder)


def test_photo_weights_of_another_image_encoder_are_refused(folder: Path) -> None:
    for part in ("damage", "listing"):
        shutil.copytree(SHIPPED_DIR / part, folder / part)
    settings = folder / "damage" / "head.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    settings.write_text(json.dumps({**content, "encoder_digest": "of another"}), encoding="utf-8")
    write_manifest(folder, calibrated_on="simulated", trained_at=AT)
    with pytest.raises(WeightsError, match="damage weights were fitted on another image encoder"):
        load_suggester(folder, cache_dir=default_cache_dir())
