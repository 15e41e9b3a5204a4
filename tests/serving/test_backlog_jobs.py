"""Backlogs asked for over the API: run once, shown, cancelled, gone on with after a stop, downloaded."""

import io
import json
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.domain import DecisionDraft
from models.vocabulary import Platform, Ruling
from serving.app import create_app
from serving.backlog.pool import PoolEngine
from serving.backlog.run import score_backlog
from serving.backlog.writing import HANDED_BACK
from serving.backlog_folder import JobFolder
from serving.backlog_jobs import BacklogJobs
from serving.house import House
from serving.records import CaseKey, Role
from serving.tables import idempotency_keys
from tests.serving.backlog.backlogs import SLOW, case_content, load_deadly
from tests.serving.conftest import Headers, headers_of, keyed, user_of

BACKLOGS = "/api/v1/backlogs"
LINES = {"Content-Type": "application/x-ndjson"}
PATIENCE_S = 120
# The command as it is, but for the weights, those of the tests load in no time, and the size of a part.
COMMAND = """
import typer
from functools import partial
from serving.backlog import run, shipped
from tests.serving.backlog.backlogs import load_deadly
shipped.loader = lambda model_dir, *, cache_dir: load_deadly
run.score_backlog = partial(run.score_backlog, part_cases=4, chunk_cases=2)
from serving.cli_backlog import score
typer.run(score)
"""


@pytest.fixture
def busy_house(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    jobs = BacklogJobs(
        tmp_path / "backlogs",
        environment=house.backlogs.environment,
        command=(sys.executable, "-c", COMMAND),
    )
    return replace(house, backlogs=jobs)


@pytest.fixture
def served(busy_house: House) -> TestClient:
    return TestClient(create_app(busy_house.settings, house=busy_house))


@pytest.fixture
def engineer(busy_house: House) -> Headers:
    return headers_of(busy_house, Role.ENGINEER)


def _lines(*contents: dict[str, Any] | str) -> bytes:
    rows = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in contents]
    return "".join(row + "\n" for row in rows).encode()


def _until(find: Callable[[], dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while not wanted(found := find()):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def test_a_backlog_sent_in_is_scored_in_the_background_and_downloaded(
    served: TestClient, busy_house: House, engineer: Headers
) -> None:
    body = _lines(*(case_content(n) for n in range(6)), "{")
    asked = served.post(BACKLOGS, content=body, headers=keyed({**engineer, **LINES}))
    assert (asked.status_code, asked.json()["state"], asked.json()["n_rows"]) == (202, "waiting", 7)
    one = f"{BACKLOGS}/{asked.json()['job_id']}"
    early = served.get(f"{one}/result", headers=engineer)
    assert (early.status_code, early.json()["type"]) == (409, "urn:evidence-review:problem:conflict")
    with served:
        job = _until(lambda: served.get(one, headers=engineer).json(), lambda job: job["state"] == "complete")
    assert (job["n_done"], job["summary"]["n_scored"], job["summary"]["n_refused"]) == (7, 6, 1)
    packed = served.get(f"{one}/result", headers=engineer)
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert set(archive.namelist()) == {
            "summary.json",
            "refused.jsonl",
            "triage.parquet",
            "suggestions/part-000000.parquet",
            "suggestions/part-000001.parquet",
        }
        assert json.loads(archive.read("refused.jsonl"))["line"] == 7
    assert [job["job_id"] for job in served.get(BACKLOGS, headers=engineer).json()] == [job["job_id"]]
    actions = [event.action for event in busy_house.store.audit_trail(subject=f"backlog:{job['job_id']}")]
    assert sorted(actions) == ["backlog_asked", "backlog_downloaded"]


def test_a_service_that_stops_goes_on_with_its_backlog_and_a_cancelled_one_stays_cancelled(
    served: TestClient, busy_house: House, engineer: Headers
) -> None:
    body = _lines(*(case_content(n, buyer_statement=SLOW) for n in range(60)))
    jobs = [
        served.post(BACKLOGS, content=body, headers=keyed({**engineer, **LINES})).json()["job_id"] for _ in range(3)
    ]

    def find(job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = served.get(f"{BACKLOGS}/{job_id}", headers=engineer).json()
        return found

    with TestClient(create_app(busy_house.settings, house=busy_house)):
        _until(lambda: find(jobs[0]), lambda job: job["n_done"] > 0)
        assert (find(jobs[0])["state"], find(jobs[1])["state"]) == ("running", "waiting")
        cancelled = served.post(f"{BACKLOGS}/{jobs[1]}/cancel", headers=engineer)
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    stopped = find(jobs[0])
    assert (stopped["state"], 0 < stopped["n_done"] < 60) == ("waiting", True)
    with TestClient(create_app(busy_house.settings, house=busy_house)):
        done = _until(lambda: find(jobs[0]), lambda job: job["state"] == "complete")
        _until(lambda: find(jobs[2]), lambda job: job["state"] == "running")
        served.post(f"{BACKLOGS}/{jobs[2]}/cancel", headers=engineer)
        _until(lambda: find(jobs[2]), lambda job: job["state"] == "cancelled")
    assert done["summary"]["n_scored"] == 60
    assert find(jobs[1])["state"] == "cancelled"


def test_without_a_body_the_waiting_cases_are_scored_and_their_suggestions_stored(
    served: TestClient, busy_house: House, engineer: Headers
) -> None:
    clerk = headers_of(busy_house, Role.SERVICE)
    served.post("/api/v1/cases", json=case_content(0), headers=clerk)
    job_id = served.post(BACKLOGS, headers=keyed(engineer)).json()["job_id"]
    with served:
        job = _until(
            lambda: served.get(f"{BACKLOGS}/{job_id}", headers=engineer).json(),
            lambda job: job["state"] not in ("waiting", "running"),
        )
    assert (job["state"], job["summary"]["n_scored"]) == ("complete", 1), job
    lead = headers_of(busy_house, Role.LEAD)
    view = served.get("/api/v1/cases/taobao/TB-0", headers=lead).json()
    assert view["suggestion_state"] == "ready"


def test_a_lead_gets_no_result_while_a_case_of_it_is_to_be_decided_blind(busy_house: House, engineer: Headers) -> None:
    busy_house.store.policy = replace(busy_house.store.policy, blind_share=1.0)
    lead, clerk = headers_of(busy_house, Role.LEAD), headers_of(busy_house, Role.SERVICE)
    with TestClient(create_app(busy_house.settings, house=busy_house)) as served:
        served.post("/api/v1/cases", json=case_content(0), headers=clerk)
        bodies = [None, _lines(case_content(0)), _lines(case_content(1))]
        asked = [served.post(BACKLOGS, content=body, headers=keyed({**lead, **LINES})) for body in bodies]
        places = [f"{BACKLOGS}/{answer.json()['job_id']}" for answer in asked]
        for place in places:
            _until(partial(_got, served, place, lead), lambda job: job["state"] == "complete")
        answers = [served.get(f"{place}/result", headers=lead) for place in places]
        assert [answer.status_code for answer in answers] == [409, 409, 200]
        assert {job["summary"] for job in served.get(BACKLOGS, headers=lead).json()} == {None}
        assert [_got(served, place, lead)["summary"] is None for place in places] == [True, True, False]
        assert _got(served, places[0], engineer)["summary"]["n_scored"] == 1
        assert answers[0].json()["type"].endswith("blind-first")
        assert served.get(f"{places[0]}/result", headers=engineer).status_code == 200
        draft = DecisionDraft(ruling=Ruling.DISMISS)
        key = CaseKey(Platform.TAOBAO, "TB-0")
        busy_house.store.decide(key, draft, by=user_of(busy_house, Role.LEAD), input_digest="sha256:0")
        assert served.get(f"{places[0]}/result", headers=lead).status_code == 200


def test_a_backlog_that_fails_says_why(house: House, tmp_path: Path) -> None:
    jobs = BacklogJobs(tmp_path, command=(sys.executable, "-c", "raise SystemExit('the weights are gone')"))
    job = jobs.create(by="somebody", rows=b"{}\n")
    assert jobs.run_next(is_stopping=lambda: False)
    found = jobs.find(job.job_id)
    assert (found.state, found.reason) == ("failed", "the weights are gone")
    assert not jobs.run_next(is_stopping=lambda: False)


def test_a_failed_backlog_goes_on_or_begins_anew_when_asked(
    served: TestClient, busy_house: House, engineer: Headers
) -> None:
    asked = served.post(BACKLOGS, content=_lines({}), headers=keyed({**engineer, **LINES})).json()
    folder = busy_house.backlogs.directory / asked["job_id"]
    one = f"{BACKLOGS}/{asked['job_id']}/resume"
    assert served.post(one, headers=engineer).json()["state"] == "waiting"
    for fresh in (False, True):
        (folder / "failed.txt").write_text("no room is left on the disk")
        (folder / "out").mkdir(exist_ok=True)
        assert served.get(f"{BACKLOGS}/{asked['job_id']}", headers=engineer).json()["state"] == "failed"
        assert served.post(f"{one}?fresh={fresh}", headers=engineer).json()["state"] == "waiting"
        assert (folder / "out").exists() is not fresh
    actions = [event.action for event in busy_house.store.audit_trail(subject=f"backlog:{asked['job_id']}")]
    assert actions == ["backlog_asked", "backlog_resumed", "backlog_resumed"]


def test_a_process_ended_from_outside_is_begun_again_but_not_for_ever(tmp_path: Path) -> None:
    jobs = BacklogJobs(tmp_path, command=(sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"))
    job = jobs.create(by="somebody", rows=b"{}\n")
    for state in ("waiting", "waiting", "failed"):
        assert jobs.run_next(is_stopping=lambda: False)
        assert jobs.find(job.job_id).state == state
    assert jobs.find(job.job_id).reason == "its process was ended from outside 3 times, the last time by: Terminated"


def reason_of(folder: Path, said: str) -> str:
    """Return the reason kept for a job whose process said that before it failed."""
    job = JobFolder(folder)
    job.said.write_text(said, encoding="utf-8")
    job.fail(1)
    return (folder / "failed.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("cut", ["13812345678", "138 1234 5678", "TB-2026-000123"])
def test_a_reason_that_is_cut_short_begins_with_a_whole_word(tmp_path: Path, cut: str) -> None:
    last = f"{'，' * 990} [phone]"
    assert reason_of(tmp_path, f"the buyer {cut} {'，' * 990}\n13812345678\n") == last


def test_a_reason_no_longer_than_one_may_be_is_whole(tmp_path: Path) -> None:
    said = f"disk {'，' * 995}"
    assert reason_of(tmp_path, said) == said


def test_of_a_process_that_said_much_only_the_end_is_looked_through(tmp_path: Path) -> None:
    began = time.process_time()
    reason = reason_of(tmp_path, "call 138 1234 5678 now\n" * 20_000 + "no room is left")
    assert time.process_time() - began < 2
    words = reason.removesuffix(" no room is left").split()
    assert (len(reason) > 900, set(words)) == (True, {"call", "[phone]", "now"})


def test_waiting_cases_are_complete_only_when_their_suggestions_are_stored(tmp_path: Path) -> None:
    jobs = BacklogJobs(tmp_path / "jobs", command=(sys.executable, "-c", "raise SystemExit('the database is away')"))
    job = jobs.create(by="somebody")
    lines = tmp_path / "cases.jsonl"
    lines.write_bytes(_lines(case_content(1)))
    out = tmp_path / "jobs" / job.job_id / "out"
    with PoolEngine(load_deadly, processes=1) as engine:
        score_backlog(str(lines), out=out, engine=engine)
    assert jobs.run_next(is_stopping=lambda: False)
    assert (jobs.find(job.job_id).state, jobs.find(job.job_id).reason) == ("failed", "the database is away")
    jobs.resume(job.job_id)
    assert jobs.find(job.job_id).state == "waiting"
    (out / HANDED_BACK).write_text("{}")
    assert jobs.find(job.job_id).state == "complete"


def test_a_request_whose_answer_was_lost_makes_one_job(
    served: TestClient, busy_house: House, engineer: Headers
) -> None:
    headers = keyed({**engineer, **LINES})
    first = served.post(BACKLOGS, content=_lines({}), headers=headers).json()
    with busy_house.store.database.alter() as connection:
        connection.execute(idempotency_keys.delete())
    again = served.post(BACKLOGS, content=_lines({}), headers=headers).json()
    assert again["job_id"] == first["job_id"]
    assert len(served.get(BACKLOGS, headers=engineer).json()) == 1
    other = served.post(BACKLOGS, content=_lines({}), headers=keyed({**engineer, **LINES})).json()
    assert other["job_id"] != first["job_id"]


@pytest.mark.parametrize("role", [Role.ARBITRATOR, Role.AUDITOR])
def test_arbitrators_and_auditors_get_no_backlogs(
    served: TestClient, busy_house: House, engineer: Headers, role: Role
) -> None:
    job_id = served.post(BACKLOGS, content=_lines({}), headers=keyed({**engineer, **LINES})).json()["job_id"]
    headers = headers_of(busy_house, role)
    for method, path in (("GET", ""), ("POST", ""), ("GET", f"/{job_id}"), ("GET", f"/{job_id}/result")):
        assert served.request(method, BACKLOGS + path, headers=headers).status_code == 403
        assert served.request(method, BACKLOGS + path).status_code == 401


def test_an_unknown_job_and_another_kind_of_body_are_refused(served: TestClient, engineer: Headers) -> None:
    for job_id in ("0" * 32, "..", "x"):
        assert served.get(f"{BACKLOGS}/{job_id}", headers=engineer).status_code in (404, 405)
    answer = served.post(BACKLOGS, content=b"a,b", headers=keyed({**engineer, "Content-Type": "text/csv"}))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Content-Type")


def _got(client: TestClient, place: str, headers: Headers) -> dict[str, Any]:
    found: dict[str, Any] = client.get(place, headers=headers).json()
    return found
