"""Promise 12: what is personal is masked before text reaches logs, exports, training files or error reports."""

import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.domain import DecisionDraft, EvidenceAsk, RequestText
from models.errors import InputError
from models.mlflow_server import mlflow_client
from models.vocabulary import Party, Ruling
from serving.app import create_app
from serving.backlog.chunk import refused_in_scoring
from serving.backlog.reading import Entry, Place
from serving.backlog_jobs import BacklogJobs
from serving.cli import app
from serving.export import export_outcomes
from serving.house import House
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.builders import build_case, hours
from tests.logs import service_logs
from tests.serving.conftest import headers_of, user_of
from training.config import DATASETS_DIR
from training.evaluate_privacy import PrivacyLine, measure_privacy, read_lines
from training.import_outcomes import import_outcomes
from training.tracking import Tracking

LINES = read_lines(DATASETS_DIR / "privacy" / "lines.jsonl")
SECRETS = ("13812345678", "11010519491231002X", "4111111111111111", "zhang@example.com", "王小明", "世纪大道100号")
TEXT = (
    "收货人：王小明，电话13812345678，身份证11010519491231002X，卡4111111111111111，"
    "zhang@example.com，地址：上海市世纪大道100号"
)


def test_personal_data_is_found_and_little_else_is(measured: Callable[[str], None]) -> None:
    figures = measure_privacy([line for line in LINES if line.split == "test"])
    recall, precision, clean = figures.recall["all"], figures.precision["all"], figures.clean
    measured(
        f"on lines written before the masker: recall {recall.value:.3f} of {recall.n} spans, precision "
        f"{precision.value:.3f} of {precision.n} masks, {clean.value:.3f} of {clean.n} hard negatives untouched"
    )
    assert recall.interval[0] >= 0.9
    assert precision.interval[0] >= 0.95
    assert clean.value >= 0.95


def test_a_log_line_holds_nothing_personal(capsys: pytest.CaptureFixture[str]) -> None:
    with service_logs():
        log = structlog.get_logger("test")
        log.info("said", text=TEXT, nested={"list": [TEXT]}, request_id="0123456789abcdef")
        try:
            raise ValueError(TEXT)
        except ValueError:
            log.exception("failed")
        printed = capsys.readouterr().err
    assert json.loads(printed.splitlines()[0])["request_id"] == "0123456789abcdef"
    assert "[phone]" in printed
    assert [secret for secret in SECRETS if secret in printed] == []


def test_what_libraries_log_and_warn_of_holds_nothing_personal(capsys: pytest.CaptureFixture[str]) -> None:
    with service_logs():
        logging.getLogger("some.package").error("failed: %s", TEXT)
        warnings.warn(TEXT, stacklevel=1)
        printed = capsys.readouterr().err
    assert [json.loads(line)["level"] for line in printed.splitlines()] == ["error", "warning"]
    assert [secret for secret in SECRETS if secret in printed] == []


def test_an_error_nobody_foresaw_is_told_with_its_id_and_logged_without_anything_personal(
    settings: Settings, house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> object:
        raise KeyError(TEXT)

    monkeypatch.setattr(house.store, "queue", fail)
    with service_logs():
        client = TestClient(create_app(settings, house=house))
        answer = client.get("/api/v1/cases", headers=headers_of(house, Role.LEAD))
        printed = capsys.readouterr().err
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"]
    said = [json.loads(line) for line in printed.splitlines()]
    (failed,) = [line for line in said if line["event"] == "unforeseen_error"]
    assert failed["request_id"] == answer.headers["x-request-id"] == answer.json()["request_id"]
    assert "KeyError" in failed["exception"]
    assert [secret for secret in SECRETS if secret in printed + answer.text] == []


def test_an_error_report_holds_nothing_personal(client: TestClient, house: House) -> None:
    case = build_case().model_dump(mode="json")
    case["photos"] = [{"photo_id": TEXT, "role": "other", "filed_by": "buyer"}] * 2
    answer = client.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE))
    assert answer.status_code == 422
    assert "occurs twice" in answer.text
    assert [secret for secret in SECRETS if secret in answer.text] == []


def test_a_refused_row_of_a_backlog_names_nobody() -> None:
    entry = Entry("a.jsonl", 1, Place(), Path(), build_case().model_dump_json().encode())
    assert [secret for secret in SECRETS if secret in refused_in_scoring(entry, TEXT).reason] == []


def test_an_export_for_training_holds_nothing_personal(house: House) -> None:
    folder = exported(house, [TEXT])
    written = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.json*"))
    assert [secret for secret in (*SECRETS, '"b-1"', '"s-1"') if secret in written] == []


def test_the_log_of_decisions_holds_nothing_personal(client: TestClient, house: House) -> None:
    exported(house, [TEXT])
    case = build_case(case_id="T-2")
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    asked = EvidenceAsk(party=Party.BUYER, what=TEXT, text=RequestText(zh=TEXT, en=TEXT))
    draft = DecisionDraft(ruling=Ruling.REQUEST_EVIDENCE, reason=TEXT, distinguishes=TEXT, request=asked)
    key = CaseKey(case.platform, case.case_id)
    house.store.decide(key, draft, by=user_of(house, Role.ARBITRATOR), input_digest="sha256:0")
    for form in ("csv", "jsonl"):
        told = client.get(f"/api/v1/decisions/export?format={form}", headers=headers_of(house, Role.LEAD)).text
        assert "T-2" in told
        assert [secret for secret in SECRETS if secret in told] == []


def test_why_a_backlog_failed_names_nobody(house: House, tmp_path: Path) -> None:
    command = (sys.executable, "-c", f"import sys; sys.exit({TEXT!r})")
    backlogs = BacklogJobs(tmp_path / "backlogs", command=command)
    job = backlogs.create(by="li", rows=b"{}")
    backlogs.run_next(is_stopping=lambda: False)
    ended = backlogs.find(job.job_id)
    assert ended.reason is not None
    assert "[phone]" in ended.reason
    assert [secret for secret in SECRETS if secret in ended.reason] == []


def test_reports_of_refused_imports_name_nobody(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text(build_case().model_dump_json(), encoding="utf-8")
    row = {"case_id": "TB-1", "ruling": TEXT}
    (tmp_path / "table.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text("values: {ruling: {x: refund}}", encoding="utf-8")
    with pytest.raises(InputError):
        import_outcomes(
            tmp_path / "table.jsonl",
            cases=tmp_path / "cases.jsonl",
            mapping=tmp_path / "mapping.yaml",
            directory=tmp_path / "out",
        )
    refund = {"refund_id": "R-1", "reason": TEXT}
    (tmp_path / "refunds.jsonl").write_text(json.dumps(refund), encoding="utf-8")
    told = CliRunner().invoke(app, ["import", "taobao", str(tmp_path / "refunds.jsonl"), "--out", str(tmp_path / "tb")])
    assert told.exit_code == 0
    for report in (tmp_path / "out" / "refused.jsonl", tmp_path / "tb" / "refused.jsonl"):
        written = report.read_text(encoding="utf-8")
        assert written.strip()
        assert [secret for secret in SECRETS if secret in written] == []


def test_what_is_tracked_of_a_failed_retraining_names_nobody(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'registry.db'}"
    runs: list[str] = []

    def fail() -> None:
        with Tracking(uri, artifact_dir=tmp_path / "artifacts").run("retrain", by="li") as run:
            runs.append(run.run_id)
            raise InputError(TEXT)

    with pytest.raises(InputError):
        fail()
    failed = mlflow_client(uri).get_run(runs[0])
    assert failed.info.status == "FAILED"
    assert "[phone]" in failed.data.tags["problem"]
    assert [secret for secret in SECRETS if secret in failed.data.tags["problem"]] == []


@pytest.mark.long
def test_what_the_masker_finds_in_any_line_is_in_no_file_of_an_export(
    house: House, measured: Callable[[str], None]
) -> None:
    personal = [line for line in LINES if line.spans]
    folder = exported(house, [line.text for line in personal])
    written = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.json*"))
    leaked = [value for line in personal for value in _values(line) if value in written]
    n_values = sum(len(_values(line)) for line in personal)
    measured(f"{len(leaked)} of {n_values} values of eight characters or more left in an export of all lines")
    assert len(leaked) <= 0.05 * n_values


def exported(house: House, texts: list[str]) -> Path:
    """Return the export of one decided case that holds the texts in every place where text stands."""
    whole = "\n".join(texts)[:20_000]
    case = build_case(
        case_id="T-1",
        buyer_statement=whole,
        seller_statement=whole,
        listing={"title": whole, "description": whole, "attributes": {"note": texts[0][:400]}},
        logistics=[{"at": hours(1), "event": "shipped", "note": whole}],
        timeline=[{"at": hours(2), "event": "refund_applied", "by": "buyer", "note": whole}],
        documents=[{"document_id": "d1", "kind": "invoice", "filed_by": "buyer", "note": whole}],
        chat=[
            {"message_id": f"m{place}", "at": hours(3), "speaker": "buyer", "text": text}
            for place, text in enumerate(texts)
        ],
    )
    key = CaseKey(case.platform, case.case_id)
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    draft = DecisionDraft(ruling=Ruling.REFUND, reason=whole)
    house.store.decide(key, draft, by=user_of(house, Role.ARBITRATOR), input_digest="sha256:0")
    return export_outcomes(house.store, house.photo_intake, house.settings.outcomes_dir, by="system:test")


def _values(line: PrivacyLine) -> list[str]:
    return [value for start, end, _ in line.spans if len(value := line.text[start:end]) >= 8]
