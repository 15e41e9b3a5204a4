"""The loop, whole, with the shipped model: a case in by API, a suggestion, a decision, an outcome, a refit."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.case_file import CaseFile
from models.domain import Case, Suggestion, parse_case
from models.encoders import default_cache_dir
from models.registry import SHIPPED_DIR, load_suggester, write_manifest
from models.ruling import RULINGS
from models.suggester import Suggester
from models.vocabulary import Ruling
from serving.app import create_app
from serving.cli import app as review
from serving.export import export_outcomes
from serving.house import build_house
from serving.records import Role
from serving.settings import Settings
from training.fit_rulings import ruling_table
from training.outcome_table import outcome_table
from training.photo_errors import load_photo_errors
from training.refit_rulings import refit_rulings
from training.simulate import simulate
from training.snapshot import read_snapshot
from training.statement_pool import load_pool

SAMPLES = Path(__file__).parent.parent / "datasets" / "samples"


@pytest.fixture(scope="module")
def suggester() -> Suggester:
    return load_suggester(cache_dir=default_cache_dir())


def _samples() -> list[Case]:
    return [parse_case(line) for line in (SAMPLES / "cases.jsonl").read_text(encoding="utf-8").splitlines()]


def _file(case: Case) -> CaseFile:
    found = {p.photo_id: SAMPLES / p.path for p in case.photos if p.path and (SAMPLES / p.path).exists()}
    return CaseFile(case, {photo_id: path.read_bytes() for photo_id, path in found.items()})


def _same(first: Suggestion, second: Suggestion) -> None:
    """Everything equal but the moment; probabilities to 1e-6."""
    assert first.ruling == second.ruling
    assert first.suggestion_id == second.suggestion_id
    for ruling in Ruling:
        assert first.probabilities[ruling] == pytest.approx(second.probabilities[ruling], abs=1e-6)
    assert [piece.ref for piece in first.evidence] == [piece.ref for piece in second.evidence]
    assert first.ledger == second.ledger


def test_from_a_case_to_a_model_that_learned_from_its_decision(suggester: Suggester, tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/review.db",
        photo_dir=tmp_path / "photos",
        blind_share=0,
        reason_required=False,
    )
    house = build_house(settings, suggester)
    arbitrator = house.gatekeeper.add_user("lin", role=Role.ARBITRATOR, by="system:test")
    token = house.gatekeeper.make_token(arbitrator, label="test", by="system:test")
    client = TestClient(create_app(settings, house=house), headers={"Authorization": f"Bearer {token}"})
    first, second = [_file(case) for case in _samples() if case.claim == "damaged"][:2]

    suggestion = _decided_through_the_api(client, first, suggester, by_likelihood=min)
    _decided_through_the_api(client, second, suggester, by_likelihood=max)
    folder = export_outcomes(house.store, house.photo_intake, tmp_path / "outcomes", by="lin")
    outcomes = read_snapshot(folder)
    unlikely = outcomes[0].outcome.ruling
    assert [one.provenance for one in outcomes] == ["disagreed", "agreed"]
    assert set(outcomes[0].file.photos) == set(first.photos)

    evidence = suggester.scorer.score([one.file for one in outcomes])
    table = outcome_table(suggester, outcomes, evidence)
    cases = simulate(
        400, pool=load_pool(SHIPPED_DIR / "chat" / "pool.json"), photo_errors=load_photo_errors(SHIPPED_DIR), seed=1
    )
    refit = refit_rulings(
        table.rows([0] * 20 + [1]), table.rows([]), simulated=ruling_table(cases), like=suggester.ruling, seed=1
    )
    challenger_dir = tmp_path / "challenger"
    shutil.copytree(SHIPPED_DIR, challenger_dir)
    refit.classifier.save(challenger_dir / "ruling")
    version = write_manifest(challenger_dir, calibrated_on=refit.calibrated_on, trained_at=datetime.now(UTC))
    challenger = load_suggester(challenger_dir, cache_dir=default_cache_dir())
    again = challenger.suggest([first])[0]
    assert again.model_version == version != suggestion.model_version
    assert again.probabilities[unlikely] > suggestion.probabilities[unlikely] + 0.05
    house.store.close()


def _decided_through_the_api(
    client: TestClient, file: CaseFile, suggester: Suggester, *, by_likelihood: Callable[..., Ruling]
) -> Suggestion:
    """Take a case in, have it scored, decide it on the likeliest or the unlikeliest ruling."""
    case = file.case
    place = f"/api/v1/cases/{case.platform}/{case.case_id}"
    assert client.post("/api/v1/cases", json=json.loads(case.model_dump_json())).status_code == 201
    for photo_id, data in file.photos.items():
        sent = client.put(f"{place}/photos/{photo_id}", content=data, headers={"Content-Type": "image/jpeg"})
        assert sent.status_code in (200, 201), sent.text
    answer = client.post(f"{place}/suggestion")
    assert answer.status_code in (200, 201), answer.text
    suggestion = Suggestion.model_validate_json(answer.text)
    _same(suggestion, suggester.suggest([file])[0])
    draft = {
        "ruling": by_likelihood(RULINGS, key=lambda ruling: suggestion.probabilities[ruling]),
        "suggestion_id": suggestion.suggestion_id,
        "reason": "照规则另判",
        "review_seconds": 41,
    }
    decided = client.post(f"{place}/decision", json=draft, headers={"Idempotency-Key": case.case_id})
    assert decided.status_code == 201, decided.text
    assert (decided.json()["decided_by"], decided.json()["agreed"]) == ("lin", by_likelihood is max)
    return suggestion


def test_the_same_suggestion_whatever_the_batch(suggester: Suggester) -> None:
    files = [_file(case) for case in _samples()[:6]]
    now = datetime(2026, 11, 1, tzinfo=UTC)
    together = suggester.suggest(files, now=now)
    for file, one in zip(files, together, strict=True):
        _same(one, suggester.suggest([file], now=now)[0])
    for one, other in zip(together, reversed(suggester.suggest(files[::-1], now=now)), strict=True):
        _same(one, other)


def test_the_command_line_suggests_the_same(suggester: Suggester, tmp_path: Path) -> None:
    case = _samples()[0]
    path = tmp_path / "case.json"
    path.write_text(case.model_dump_json(), encoding="utf-8")
    result = CliRunner().invoke(review, ["suggest", str(path), "--photos", str(SAMPLES), "--json"])
    assert result.exit_code == 0, result.output
    _same(Suggestion.model_validate_json(result.stdout), suggester.suggest([_file(case)])[0])


def test_every_sample_case_gets_a_whole_suggestion_with_both_sides(suggester: Suggester) -> None:
    for case in _samples():
        suggestion = suggester.suggest([_file(case)])[0]
        assert sum(suggestion.probabilities.values()) == pytest.approx(1, abs=1e-9)
        assert {piece.favours for piece in suggestion.evidence} == {"buyer", "seller"}, case.case_id
        assert suggestion.ledger
        assert suggestion.calibrated_on == "simulated"
