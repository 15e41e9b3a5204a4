"""A new champion is taken up while requests run; one that fails is refused and the old one stays."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from models.case_file import CaseFile
from models.errors import RegistryError
from models.registry import ModelRegistry, verified_manifest
from models.suggester import Suggester
from serving.champion import ChampionKeeper, folder_to_start_with
from serving.house import House
from tests.builders import build_case
from tests.registries import load


def test_a_promoted_champion_is_taken_up_while_requests_run_and_none_is_dropped(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House
) -> None:
    keeper.look()
    first = scoring_house.scoring.model_version
    answers: list[list[str]] = [[] for _ in range(4)]
    stop = threading.Event()

    def ask(versions: list[str]) -> None:
        while not stop.is_set():
            versions.append(scoring_house.scoring.suggest(CaseFile(build_case())).model_version)
        versions.append(scoring_house.scoring.suggest(CaseFile(build_case())).model_version)

    threads = [threading.Thread(target=ask, args=(versions,)) for versions in answers]
    for thread in threads:
        thread.start()
    while not all(answers):
        stop.wait(0.01)
    registry.promote(2, by="lead-li", reason="better")
    assert keeper.look()
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    second = registry.numbered(2).model_version
    for versions in answers:
        assert versions[0] == first
        since = versions.index(second)
        assert versions == [first] * since + [second] * (len(versions) - since)
    taken_up = scoring_house.store.audit_trail(subject="model:2")[0]
    assert (taken_up.action, taken_up.detail["promoted_by"]) == ("model_taken_up", "lead-li")
    assert (taken_up.detail["before"], taken_up.detail["model_version"]) == (first, second)
    assert not keeper.look()


def test_the_running_keeper_follows_a_rollback(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House
) -> None:
    registry.promote(2, by="lead-li")
    keeper.look()
    registry.rollback(by="lead-li")
    keeper.start()
    for _ in range(500):
        if scoring_house.scoring.model_version == registry.numbered(1).model_version:
            break
        threading.Event().wait(0.02)
    keeper.stop()
    assert scoring_house.scoring.model_version == registry.numbered(1).model_version
    assert scoring_house.store.audit_trail(subject="model:1")[-1].detail["move"] == "rollback"


def test_a_champion_that_does_not_repeat_its_golden_cases_is_refused_once_and_the_old_one_stays(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House
) -> None:
    keeper.look()
    first = scoring_house.scoring.model_version

    def load_otherwise(folder: Path) -> Suggester:
        suggester = load(folder)
        fitted = suggester.ruling.fitted_
        assert fitted is not None
        suggester.ruling.fitted_ = replace(fitted, intercept=fitted.intercept * 1.01)
        return suggester

    keeper.load = load_otherwise
    registry.promote(2, by="lead-li")
    assert not keeper.look()
    assert not keeper.look()
    assert scoring_house.scoring.model_version == first
    (refused,) = scoring_house.store.audit_trail(subject="model:2")
    assert refused.action == "model_refused"
    assert "golden case" in refused.detail["problem"]


def failing(n_times: int) -> Callable[[Path], Suggester]:
    """Return a loader that lacks memory so many times, as the libraries report it."""
    failures = iter(range(n_times))

    def load_or_fail(folder: Path) -> Suggester:
        if next(failures, None) is not None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return load(folder)

    return load_or_fail


def test_a_champion_that_fails_for_lack_of_memory_is_tried_again(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House
) -> None:
    def promote() -> None:
        registry.promote(2, by="lead-li")

    for move in (promote, lambda: registry.rollback(by="lead-li"), promote):
        move()
        keeper.load = failing(2)
        assert [keeper.look() for _ in range(3)] == [False, False, True]
    assert {event.action for event in scoring_house.store.audit_trail(subject="model:2")} == {"model_taken_up"}


def test_a_champion_that_fails_so_three_times_in_a_row_is_refused(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House
) -> None:
    registry.promote(2, by="lead-li")
    keeper.load = failing(3)
    assert [keeper.look() for _ in range(4)] == [False] * 4
    (refused,) = scoring_house.store.audit_trail(subject="model:2")
    assert (refused.action, "can't allocate memory" in refused.detail["problem"]) == ("model_refused", True)


def test_a_champion_that_could_not_be_fetched_is_fetched_again(
    keeper: ChampionKeeper, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(**_: object) -> str:
        raise MlflowException("the connection broke off")

    with monkeypatch.context() as outage:
        outage.setattr("mlflow.artifacts.download_artifacts", break_off)
        with pytest.raises(RegistryError, match="broke off"):
            keeper.look()
    assert keeper.look()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ruling/ruling.json", b"{}", "is not the file that was pinned"),
        ("ruling/evil.pkl", b"\x80\x04N.", "differ in ruling/evil.pkl"),
    ],
)
def test_an_altered_or_foreign_file_is_refused_and_the_old_model_stays(
    keeper: ChampionKeeper,
    registry: ModelRegistry,
    scoring_house: House,
    four_models: Path,
    name: str,
    content: bytes,
    said: str,
) -> None:
    keeper.look()
    first = scoring_house.scoring.model_version
    path = Path(registry.numbered(3).source.removeprefix("file://")) / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        registry.promote(3, by="lead-li")
        assert not keeper.look()
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert scoring_house.scoring.model_version == first
    assert said in scoring_house.store.audit_trail(subject="model:3")[0].detail["problem"]


def test_a_registry_that_is_away_leaves_the_last_champion_to_start_with(
    keeper: ChampionKeeper, registry: ModelRegistry, scoring_house: House, tmp_path: Path
) -> None:
    away = ModelRegistry("http://127.0.0.1:9")
    assert folder_to_start_with(away, tmp_path / "models") is None
    keeper.look()
    last = folder_to_start_with(away, tmp_path / "models")
    assert last is not None
    assert verified_manifest(last).model_version == scoring_house.scoring.model_version
    keeper.registry = away
    with pytest.raises(RegistryError, match="doesn't answer"):
        keeper.look()


def test_a_registry_that_is_not_there_yet_means_the_shipped_model(tmp_path: Path) -> None:
    nowhere = ModelRegistry(f"sqlite:///{tmp_path}/none.db")
    assert folder_to_start_with(nowhere, tmp_path) is None
    assert not (tmp_path / "none.db").exists()
