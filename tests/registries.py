"""A registry of small whole models: number 1 is the champion, 2 and 3 passed the gate against it, 4 didn't pass."""

import json
from datetime import UTC, datetime
from pathlib import Path

from models.case_file import CaseFile
from models.golden import write_golden
from models.mlflow_server import mlflow_client
from models.registry import ModelRegistry, verified_manifest, write_manifest
from models.ruling import RulingClassifier
from models.suggester import Suggester
from tests.builders import build_case
from tests.suggesters import build_suggester, fitted_ruling

REPORT_PAGE = b"<!doctype html><title>Gate report</title><style>p {color: red}</style><p>Passed</p>"


def load(folder: Path) -> Suggester:
    """Return the folder's ruling model over known words, in place of the heavy classifiers."""
    manifest = verified_manifest(folder)
    suggester = build_suggester(model_version=manifest.model_version)
    suggester.ruling = RulingClassifier.load(folder / "ruling")
    return suggester


def model_folder(folder: Path, *, seed: int) -> Path:
    """Write a small whole model; each seed has a version of its own."""
    ruling = RulingClassifier(seed=seed)
    ruling.fitted_ = fitted_ruling().fitted_
    ruling.save(folder / "ruling")
    now = datetime.now(UTC)
    write_manifest(folder, calibrated_on="simulated", trained_at=now)
    write_golden(load(folder), [CaseFile(build_case())], folder, ruled_on=now)
    write_manifest(folder, calibrated_on="simulated", trained_at=now)
    return folder


def fill_registry(folder: Path) -> Path:
    """Register the models in `folder`/registry.db and return the folder."""
    uri = f"sqlite:///{folder}/registry.db"
    client = mlflow_client(uri)
    experiment = client.create_experiment("test", artifact_location=(folder / "artifacts").as_uri())
    registry = ModelRegistry(uri)
    for number in (1, 2, 3, 4):
        run_id = client.create_run(experiment).info.run_id
        if number > 1:
            report = folder / f"report-{number}"
            report.mkdir()
            (report / "report.json").write_text(json.dumps(gate_report(passed=number < 4)), encoding="utf-8")
            (report / "report.html").write_bytes(REPORT_PAGE)
            client.log_artifacts(run_id, str(report))
        model = registry.register(
            model_folder(folder / f"model-{number}", seed=number),
            run_id=run_id,
            gate_passed_against=1 if number in (2, 3) else None,
        )
        if number == 1:
            registry.crown_first(model.number, by="wang")
    return folder


def gate_report(*, passed: bool) -> dict[str, object]:
    """Return a report as `training.gate_report` writes it."""
    interval = {"value": -0.04, "low": -0.07, "high": -0.01, "n": 240, "photos": None}
    figure = {"name": "log_loss", "champion": 0.62, "challenger": 0.58, "difference": interval, "worse": False}
    reasons = [] if passed else ["log-loss is not lower on 90 % of resamples"]
    verdict = {
        "passed": passed,
        "reasons": reasons,
        "n_gold": 240,
        "certainty": 0.97 if passed else 0.4,
        "overall": [figure],
        "slices": [],
        "coverage": None,
        "alpha": 0.1,
    }
    return {"champion": "ruling/1", "challenger": "ruling/2", "verdict": verdict, "splits": {}, "learning_curve": []}
