"""Drift is found on the cases of the desk, named with those that show it, and says what it was compared with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.domain import parse_case
from models.drift import Reference, observe
from models.drift_reference import write_reference
from models.registry import write_manifest
from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.case_files import read_case_file
from serving.cli import app
from serving.drift import DriftWatch
from serving.house import House, build_house
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.serving.conftest import headers_of, user_of
from tests.serving.web.test_desk import sign_in
from tests.suggesters import build_suggester

DRIFT = "/api/v1/models/drift"


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, n in {"MAX_REFERENCE": 60, "MIN_REFERENCE": 60, "MAX_WINDOW": 40, "MIN_WINDOW": 30}.items():
        monkeypatch.setattr(f"serving.drift.{name}", n)
    monkeypatch.setattr("models.drift.MIN_REFERENCE", 60)


def score(house: House, case_id: str, *, text: str) -> None:
    chat = [{"message_id": "m1", "at": "2026-03-01T12:00:00+08:00", "speaker": "buyer", "text": text}]
    case = parse_case({**EXAMPLE_CASE, "case_id": case_id, "photos": [], "chat": chat})
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    version = house.store.version(CaseKey(case.platform, case_id))
    said = house.scoring.suggest(read_case_file(version, house.photos))
    house.store.keep_suggestion(version, said, by="system:test")


def fill(house: House, *, n_longer: int) -> None:
    for n in range(60):
        score(house, f"TB-{n}", text="碎了" + "。" * (n % 5))
    for n in range(40):
        score(house, f"TB-new-{n}", text="碎了" + "。" * (n % 5 + (30 if n < n_longer else 0)))


def test_longer_messages_are_alarmed_with_the_cases_that_show_it(scoring_house: House, settings: Settings) -> None:
    house = scoring_house
    fill(house, n_longer=25)
    client = TestClient(create_app(settings, house=house))
    report = client.get(DRIFT, headers=headers_of(house, Role.ENGINEER)).json()
    assert (report["reference"], report["n_first"], report["n_window"]) == ("first_live", 60, 40)
    (alarm,) = [one for one in report["features"] if one["alarmed"]]
    assert (alarm["feature"], alarm["now"] > alarm["before"]) == ("message_length", True)
    assert len(alarm["cases"]) == 5
    assert {case["case_id"] for case in alarm["cases"]} <= {f"TB-new-{n}" for n in range(25)}
    sign_in(client, house, Role.LEAD)
    assert f'href="/cases/taobao/{alarm["cases"][0]["case_id"]}"' in client.get("/models").text
    assert "近期案件与模型所熟悉的不同： 消息长度" in client.get("/lead").text
    assert client.get(DRIFT, headers=headers_of(house, Role.ARBITRATOR)).status_code == 403
    told = CliRunner().invoke(app, ["drift"], env={"EVIDENCE_REVIEW_DATABASE_URL": settings.database_url})
    assert (told.exit_code, "message_length: DRIFT" in told.output) == (3, True)


def test_a_case_still_to_be_decided_blind_is_never_named(settings: Settings) -> None:
    house = build_house(settings.model_copy(update={"blind_share": 1.0}), build_suggester())
    fill(house, n_longer=25)
    alarms = house.drift.report().alarms
    assert [(one.feature, one.cases) for one in alarms] == [("message_length", ())]
    house.store.close()


def test_before_there_are_enough_cases_nothing_is_said(scoring_house: House) -> None:
    nothing = scoring_house.drift.report()
    assert (nothing.model_version, nothing.features) == (None, ())
    score(scoring_house, "TB-1", text="碎了")
    few = DriftWatch(scoring_house.store.observations, reference_of=lambda version: None).report()
    assert (few.model_version, few.n_missing, few.features) == ("ruling/test", 89, ())


def test_a_model_made_from_outcomes_is_compared_with_its_training_cases(
    scoring_house: House, settings: Settings, tmp_path: Path
) -> None:
    house = scoring_house
    folder = settings.models_dir / "fetched"
    (folder / "ruling").mkdir(parents=True)
    chat = [{"message_id": "m1", "at": "2026-03-01T12:00:00+08:00", "speaker": "buyer", "text": "碎了"}]
    trained = [
        observe(parse_case({**EXAMPLE_CASE, "photos": [], "chat": [{**chat[0], "text": "碎了" + "。" * (n % 5)}]}))
        for n in range(60)
    ]
    write_reference(Reference.of(trained), folder)
    version = write_manifest(folder, calibrated_on="outcomes", trained_at=datetime.now(UTC))
    house.scoring.replace(build_suggester(model_version=version))
    for n in range(30):
        score(house, f"TB-new-{n}", text="碎了" + "。" * (n % 5 + 20))
    report = house.drift.report()
    assert (report.model_version, report.reference) == (version, "training")
    assert (report.n_first, report.n_window, report.n_missing) == (0, 30, 0)
    (alarm,) = report.alarms
    assert (alarm.feature, alarm.against, alarm.n_before, alarm.n_now) == ("message_length", "training", 60, 30)
    assert {one.feature for one in report.features}.isdisjoint({"confidence", "ruling", "overridden"})
    client = TestClient(create_app(settings, house=house))
    sign_in(client, house, Role.LEAD)
    page = client.get("/models").text
    assert "训练案件 60 件" in page
    assert "出厂模型只从模拟案件学习" not in page


def test_a_model_made_from_simulated_cases_says_so(scoring_house: House, settings: Settings) -> None:
    fill(scoring_house, n_longer=0)
    client = TestClient(create_app(settings, house=scoring_house))
    sign_in(client, scoring_house, Role.LEAD)
    assert "出厂模型只从模拟案件学习" in client.get("/models").text
