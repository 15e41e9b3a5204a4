"""A challenger in shadow: asked about new cases only, seen on none, and nobody's trouble but its own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.case_file import CaseFile
from models.domain import DecisionDraft, Suggestion, parse_case
from models.errors import WeightsError
from models.registry import ModelRegistry
from models.suggester import Suggester
from models.vocabulary import Ruling
from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.case_files import read_case_file
from serving.house import House, build_house
from serving.records import CaseKey, Role
from serving.refusals import LeaseLostError
from serving.settings import Settings
from serving.shadow import ShadowWorker
from serving.tables import shadow_suggestions
from tests.registries import load
from tests.serving.conftest import headers_of, on_both_databases, user_of
from tests.serving.store.overtaking import overtaken
from tests.suggesters import build_suggester

SHADOW = "/api/v1/models/shadow"

pytest_generate_tests = on_both_databases


@pytest.fixture
def blind_house(settings: Settings, registry: ModelRegistry) -> House:
    """Every case is decided blind first; model 2 is the challenger."""
    registry.set_challenger(2)
    return build_house(settings.model_copy(update={"blind_share": 1.0}), build_suggester())


@pytest.fixture
def shadow(blind_house: House, registry: ModelRegistry, tmp_path: Path) -> ShadowWorker:
    return ShadowWorker(
        registry,
        blind_house.store,
        blind_house.photos,
        models_dir=tmp_path / "models",
        load=load,
        lease_s=60,
        poll_s=0.02,
        registry_poll_s=0,
    )


def take_in(house: House, case_id: str, *, score: bool = True, **changes: Any) -> CaseKey:
    case = parse_case({**EXAMPLE_CASE, "case_id": case_id, "photos": [], "chat": [], **changes})
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    key = CaseKey(case.platform, case_id)
    if score:
        version = house.store.version(key)
        said = house.scoring.suggest(read_case_file(version, house.photos))
        house.store.keep_suggestion(version, said, by="system:test")
    return key


def worked(shadow: ShadowWorker) -> int:
    n = 0
    while shadow.work_once():
        n += 1
    return n


def decide(house: House, key: CaseKey, ruling: Ruling) -> None:
    draft = DecisionDraft(ruling=ruling)
    house.store.decide(key, draft, by=user_of(house, Role.ARBITRATOR), input_digest="sha256:x")


def test_only_cases_since_the_switch_are_asked_about_and_each_once(
    blind_house: House, shadow: ShadowWorker, registry: ModelRegistry
) -> None:
    take_in(blind_house, "TB-before")
    assert worked(shadow) == 0
    lead = user_of(blind_house, Role.LEAD)
    assert blind_house.store.shadows.switch(on=True, by=lead).by == "test-lead"
    for n in range(3):
        take_in(blind_house, f"TB-{n}")
    assert worked(shadow) == 3
    assert worked(shadow) == 0
    blind_house.store.shadows.switch(on=False, by=lead)
    take_in(blind_house, "TB-after")
    assert worked(shadow) == 0
    told = [(e.action.value, e.actor) for e in blind_house.store.audit_trail(subject="shadow")]
    assert told == [("shadow_on", "test-lead"), ("shadow_off", "test-lead")]


def test_what_the_challenger_says_is_on_no_page_and_in_no_answer_about_a_case(
    blind_house: House, shadow: ShadowWorker, registry: ModelRegistry
) -> None:
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    key = take_in(blind_house, "TB-1")
    before = blind_house.store.view(key)
    assert worked(shadow) == 1
    challenger = registry.numbered(2).model_version
    client = TestClient(create_app(blind_house.settings, house=blind_house))
    for role in (Role.LEAD, Role.ARBITRATOR):
        headers = headers_of(blind_house, role)
        for path in (f"/api/v1/cases/{key}", "/api/v1/cases", f"/api/v1/cases/{key}/corrections"):
            assert challenger not in client.get(path, headers=headers).text
    decide(blind_house, key, Ruling.REFUND)
    after = blind_house.store.view(key)
    assert before.hidden
    assert after.suggestion is not None
    assert after.suggestion.model_version == "ruling/test"
    assert challenger not in after.model_dump_json()
    told = client.get(SHADOW, headers=headers_of(blind_house, Role.LEAD)).json()
    assert (told["challenger"], told["agreement"]["n"], told["agreement"]["value"]) == (challenger, 1, 1)
    assert (told["champion_covered"]["n"], told["figures"]) == (1, [])
    assert client.get(SHADOW, headers=headers_of(blind_house, Role.ARBITRATOR)).status_code == 403


def test_an_erased_case_leaves_nothing_of_the_shadow(
    blind_house: House, shadow: ShadowWorker, registry: ModelRegistry
) -> None:
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    key = take_in(blind_house, "TB-1")
    assert worked(shadow) == 1
    blind_house.store.erasures.erase(key, by="system:test", reason="asked for", under_way_too=True)
    assert blind_house.models.shadow().agreement.n == 0
    assert worked(shadow) == 0


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("during", [False, True])
def test_what_the_challenger_said_of_a_case_that_was_erased_meanwhile_is_not_kept(
    blind_house: House, shadow: ShadowWorker, registry: ModelRegistry, during: bool
) -> None:
    store = blind_house.store
    store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    key = take_in(blind_house, "TB-1")
    challenger = registry.numbered(2).model_version
    job = store.shadows.take(
        number=2, model_version=challenger, since=datetime.min.replace(tzinfo=UTC), after=0, worker="w", lease_s=60
    )
    said = store.newest_suggestion(store.version(key))
    assert job is not None
    assert said is not None

    def erase() -> None:
        store.erasures.erase(key, by="system:test", reason="asked for", under_way_too=True)

    def keep() -> None:
        store.shadows.keep(job, said.model_copy(update={"model_version": challenger}))

    if during:
        overtaken(blind_house, erase, keep, at="UPDATE cases")
    else:
        erase()
        keep()
    with store.database.read() as connection:
        assert connection.execute(sa.select(shadow_suggestions)).all() == []
    assert store.shadows.pairs(challenger, champion_version=None) == []
    with pytest.raises(LeaseLostError):
        keep()
    assert worked(shadow) == 0


def test_the_champions_work_comes_first(blind_house: House, shadow: ShadowWorker) -> None:
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    take_in(blind_house, "TB-1")
    take_in(blind_house, "TB-2", score=False)
    assert worked(shadow) == 0
    assert blind_house.worker().work_once()
    assert worked(shadow) == 2


def test_a_challenger_that_fails_on_a_case_is_counted_and_touches_nothing(
    blind_house: House, shadow: ShadowWorker, monkeypatch: pytest.MonkeyPatch, registry: ModelRegistry
) -> None:
    monkeypatch.setattr("serving.shadow._RETRY_S", -1.0)

    class Failing(Suggester):
        def suggest(self, files: Sequence[CaseFile], **options: Any) -> list[Suggestion]:
            if files[0].case.case_id == "TB-bad":
                raise ValueError("no such feature")
            return super().suggest(files, **options)

    def load_failing(folder: Path) -> Suggester:
        suggester = load(folder)
        suggester.__class__ = Failing
        return suggester

    shadow.load = load_failing
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    bad, good = take_in(blind_house, "TB-bad"), take_in(blind_house, "TB-good")
    assert worked(shadow) == 4
    assert blind_house.store.shadows.n_failed(2) == 1
    version = registry.numbered(2).model_version
    assert len(blind_house.store.shadows.pairs(version, champion_version="ruling/test")) == 1
    assert {blind_house.store.view(key).suggestion_state for key in (bad, good)} == {"ready"}
    assert blind_house.store.score_queue.count_open() == 0


def test_a_challenger_that_cannot_be_loaded_is_refused_once_on_the_record(
    blind_house: House, shadow: ShadowWorker
) -> None:
    def refuse(folder: Path) -> Suggester:
        raise WeightsError("ruling.json is not the file that was pinned")

    shadow.load = refuse
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    take_in(blind_house, "TB-1")
    assert (worked(shadow), worked(shadow)) == (0, 0)
    (refused,) = blind_house.store.audit_trail(subject="model:2")
    assert refused.action == "shadow_refused"
    comparison = blind_house.models.shadow()
    assert "not the file that was pinned" in (comparison.refused or "")


def test_a_challenger_that_fails_for_lack_of_memory_is_refused_only_after_three_looks_in_a_row(
    blind_house: House, shadow: ShadowWorker
) -> None:
    def fail(folder: Path) -> Suggester:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    take_in(blind_house, "TB-1")
    shadow.load = fail
    assert [shadow.work_once() for _ in range(2)] == [False, False]
    assert blind_house.store.audit_trail(subject="model:2") == []
    shadow.load = load
    assert worked(shadow) == 1
    shadow.load = fail
    blind_house.store.shadows.switch(on=False, by=user_of(blind_house, Role.LEAD))
    assert not shadow.work_once()
    blind_house.store.shadows.switch(on=True, by=user_of(blind_house, Role.LEAD))
    assert [shadow.work_once() for _ in range(4)] == [False] * 4
    (refused,) = blind_house.store.audit_trail(subject="model:2")
    assert "can't allocate memory" in refused.detail["problem"]
