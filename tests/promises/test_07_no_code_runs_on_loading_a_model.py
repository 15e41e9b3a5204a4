"""Promise 7: no code runs on loading a model; what is poisoned is refused, and the old model keeps serving.

Every poison would leave a canary file behind if anything in it ran. Model folders hold safetensors and JSON only; a
skops file is of a kind that is never loaded, whatever its types.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import skops.io
from safetensors.numpy import load_file, save_file

from models.chat import ChatClassifier
from models.encoders import default_cache_dir
from models.errors import RegistryError, ReviewError
from models.listing import ListingMatcher
from models.photo import DamageClassifier
from models.registry import (
    MODEL_NAME,
    SHIPPED_DIR,
    ModelRegistry,
    load_suggester,
    mlflow_client,
    verified_manifest,
    write_manifest,
)
from models.ruling import RulingClassifier
from serving.champion import ChampionKeeper
from serving.house import House
from tests.registries import model_folder


class Canary:
    """Unpickled, it runs a command that leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


class Foreign:
    """A type that no trusted list names."""

    def __init__(self) -> None:
        self.number = 1


def poison(canary: Path) -> bytes:
    return pickle.dumps(Canary(canary))


def foreign_skops() -> bytes:
    return bytes(skops.io.dumps(Foreign()))


def pinned(folder: Path) -> Path:
    """Pin a folder's files anew, as somebody would who can write the manifest too."""
    write_manifest(folder, calibrated_on="simulated", trained_at=datetime.now(UTC))
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """The file that no test may leave behind."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code of the model ran"


@pytest.fixture
def old_model(keeper: ChampionKeeper, scoring_house: House) -> Iterator[str]:
    """The version at work, which has to be at work afterwards too."""
    keeper.look()
    version = scoring_house.scoring.model_version
    assert version is not None
    yield version
    assert scoring_house.scoring.model_version == version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED_DIR, tmp_path / "model"))


def test_the_poison_would_work(canary: Path) -> None:
    pickle.loads(poison(canary))  # noqa: S301  what the tests below show never happens
    canary.unlink()


@pytest.mark.parametrize("name", ["evil.pkl", "evil.joblib", "evil.pt", "evil.bin", "evil.npy", "ruling/evil.skops"])
def test_a_file_of_another_kind_is_refused_even_if_pinned(folder: Path, canary: Path, name: str) -> None:
    (folder / name).write_bytes(foreign_skops() if name.endswith("skops") else poison(canary))
    with pytest.raises(ReviewError, match="of a kind that is never loaded"):
        verified_manifest(pinned(folder))


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("damage/head.safetensors", lambda folder: DamageClassifier.load(folder / "damage")),
        ("damage/head.json", lambda folder: DamageClassifier.load(folder / "damage")),
        ("listing/matcher.safetensors", lambda folder: ListingMatcher.load(folder / "listing")),
        ("listing/matcher.json", lambda folder: ListingMatcher.load(folder / "listing")),
        ("ruling/ruling.json", lambda folder: RulingClassifier.load(folder / "ruling")),
        ("chat/heads.safetensors", lambda folder: ChatClassifier.load(folder / "chat", cache_dir=folder)),
    ],
)
def test_a_pickle_under_an_allowed_name_is_refused_even_if_pinned(
    folder: Path, canary: Path, name: str, load: Callable[[Path], object]
) -> None:
    (folder / name).write_bytes(poison(canary))
    verified_manifest(pinned(folder))
    with pytest.raises(ReviewError):
        load(folder)


def test_a_file_that_is_not_the_pinned_one_is_refused(folder: Path, canary: Path) -> None:
    (folder / "ruling" / "ruling.json").write_bytes(poison(canary))
    with pytest.raises(ReviewError, match="sha256 differs"):
        verified_manifest(folder)


def test_a_manifest_cannot_reach_outside_its_folder(folder: Path, canary: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    outside = folder.parent / "outside.safetensors"
    outside.write_bytes(poison(canary))
    manifest["files"]["../outside.safetensors"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReviewError, match="differ in"):
        verified_manifest(folder)


def torch_archive(canary: Path) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(Canary(canary), buffer)
    return buffer.getvalue()


POISONS: dict[str, Callable[[Path], bytes]] = {
    "a pickle": poison,
    "a skops file": lambda _: foreign_skops(),
    "a torch archive": torch_archive,
}
OUTCOME = "a poisoned champion is refused, its canary absent, the old model at work"


@pytest.mark.usefixtures("old_model")
@pytest.mark.parametrize("content", POISONS)
def test_the_old_model_keeps_serving_when_the_new_one_is_poisoned(
    keeper: ChampionKeeper, registry: ModelRegistry, canary: Path, content: str, measured: Callable[[str], None]
) -> None:
    source = Path(registry.numbered(3).source.removeprefix("file://"))
    path = source / "ruling" / "ruling.json"
    before, manifest = path.read_bytes(), (source / "manifest.json").read_bytes()
    path.write_bytes(POISONS[content](canary))
    try:
        pinned(source)
        registry.promote(3, by="lead-li")
        assert not keeper.look()
    finally:
        path.write_bytes(before)
        (source / "manifest.json").write_bytes(manifest)
    measured(OUTCOME)


def slipped_in(registry: ModelRegistry, folder: Path, **tags: str) -> int:
    """Make a folder champion past our own door, as somebody would who can write to the registry; return its number."""
    client = mlflow_client(registry.uri)
    run_id = client.create_run(client.get_experiment_by_name("test").experiment_id).info.run_id
    client.log_artifacts(run_id, str(folder), "model")
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    version = client.create_model_version(
        MODEL_NAME,
        f"{client.get_run(run_id).info.artifact_uri}/model",
        run_id,
        tags={"model_version": "ruling/evil", "manifest_sha256": digest, **tags},
    )
    client.set_registered_model_alias(MODEL_NAME, "champion", version.version)
    return int(version.version)


MLMODEL = "flavors: {python_function: {loader_module: evil, code: code, data: evil.pkl, python_version: 3.11}}"


@pytest.mark.usefixtures("old_model")
@pytest.mark.parametrize("what", [*POISONS, "a pyfunc with its code"])
def test_a_model_slipped_into_the_registry_runs_nothing_and_the_old_one_serves(
    keeper: ChampionKeeper,
    registry: ModelRegistry,
    scoring_house: House,
    tmp_path: Path,
    canary: Path,
    what: str,
    measured: Callable[[str], None],
) -> None:
    evil = model_folder(tmp_path / "evil", seed=9)
    if what in POISONS:
        (evil / "ruling" / "ruling.json").write_bytes(POISONS[what](canary))
        pinned(evil)
    else:
        (evil / "code").mkdir()
        (evil / "code" / "evil.py").write_text(f"import pathlib; pathlib.Path({str(canary)!r}).touch()")
        (evil / "MLmodel").write_text(MLMODEL)
        (evil / "evil.pkl").write_bytes(poison(canary))
    number = slipped_in(registry, evil)
    assert not keeper.look()
    assert scoring_house.store.audit_trail(subject=f"model:{number}")[0].action == "model_refused"
    measured(OUTCOME)


def misshapen(folder: Path) -> None:
    """Give a model listing weights that load and can't score, and take away the golden cases that would tell."""
    path = folder / "listing" / "matcher.safetensors"
    weights = load_file(path)
    save_file({name: weight[: len(weight) // 2] if weight.ndim else weight for name, weight in weights.items()}, path)
    (folder / "golden.json").unlink(missing_ok=True)


@pytest.mark.usefixtures("old_model")
def test_a_champion_whose_weights_fail_only_in_scoring_is_refused_and_the_old_one_serves(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House, folder: Path
) -> None:
    misshapen(folder)
    number = slipped_in(registry, pinned(folder))
    keeper.load = lambda fetched: load_suggester(fetched, cache_dir=default_cache_dir())
    before = scoring_house.scoring.model_version
    for n_looks in (1, 2, 3):
        assert not keeper.look()
        assert scoring_house.scoring.model_version == before
        assert (number in keeper.refused) is (n_looks == 3)
    assert scoring_house.store.audit_trail(subject=f"model:{number}")[0].action == "model_refused"


@pytest.mark.usefixtures("old_model")
@pytest.mark.parametrize("digest", ["../photos", "../../x", "/var", "", "0" * 63, "0" * 63 + "/"])
def test_a_digest_that_is_a_path_deletes_and_loads_nothing(
    keeper: ChampionKeeper, registry: ModelRegistry, tmp_path: Path, digest: str
) -> None:
    (tmp_path / "photos").mkdir(exist_ok=True)
    (tmp_path / "photos" / "kept").write_bytes(b"evidence")
    slipped_in(registry, model_folder(tmp_path / "evil", seed=9), manifest_sha256=digest)
    with pytest.raises(RegistryError, match="wasn't registered by this program"):
        keeper.look()
    assert (tmp_path / "photos" / "kept").read_bytes() == b"evidence"
    assert [model.number for model in registry.all()] == [4, 3, 2, 1]
