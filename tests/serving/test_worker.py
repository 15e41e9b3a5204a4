"""The worker: one holder a job, nothing written by one that lost it, nothing stored for an older version."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.case_file import CaseFile
from models.domain import Case, Suggestion
from models.errors import NotFittedError
from serving.case_files import read_case_file
from serving.house import House
from serving.records import CaseKey, EvidenceDraft, Role, ScoreJob, User
from serving.refusals import LeaseLostError, ModelAbsentError
from serving.scoring import Scoring
from serving.store import jobs
from serving.worker import ScoringWorker
from tests.builders import build_case, hours
from tests.serving.conftest import user_of

KEY = CaseKey(build_case().platform, "TB-1")


@pytest.fixture
def filer(scoring_house: House) -> User:
    return user_of(scoring_house, Role.SERVICE)


@pytest.fixture
def case(scoring_house: House, filer: User) -> Case:
    """A case on file whose score is asked for."""
    taken = build_case()
    scoring_house.store.take_in(taken, by=filer)
    return taken


def lease(house: House, *, worker: str = "a", lease_s: float = 60) -> ScoreJob:
    job = house.store.score_queue.lease(worker=worker, lease_s=lease_s)
    assert job is not None
    return job


def suggestion_for(house: House) -> Suggestion:
    return house.scoring.suggest(read_case_file(house.store.version(KEY), house.photos))


def failing_worker(house: House, error: Exception, *, max_attempts: int) -> ScoringWorker:
    class Failing:
        model_version = "ruling/none"

        def suggest(self, files: Any) -> list[Suggestion]:
            raise error

    scoring = Scoring(Failing(), turns=1, wait_s=1)
    return ScoringWorker(house.store, house.photos, scoring, lease_s=60, max_attempts=max_attempts, poll_s=0.01)


def make_due(house: House) -> None:
    with house.store.database.write() as connection:
        connection.execute(jobs.jobs.update().values(run_after=datetime.now(UTC) - timedelta(seconds=1)))


def test_a_case_is_scored_once(scoring_house: House, case: Case) -> None:
    worker = scoring_house.worker()
    assert worker.work_once()
    view = scoring_house.store.view(KEY)
    assert (view.suggestion_state, view.suggestion and view.suggestion.model_version) == ("ready", "ruling/test")
    assert not worker.work_once()
    assert scoring_house.store.score_queue.count_open() == 0


def test_the_case_whose_clock_runs_out_first_is_scored_first(scoring_house: House, filer: User) -> None:
    for case_id, opened in (("TB-late", 60), ("TB-soon", 20), ("TB-later", 90)):
        scoring_house.store.take_in(build_case(case_id=case_id, opened_at=hours(opened)), by=filer)
    keys = [lease(scoring_house).case_key for _ in range(3)]
    versions = [scoring_house.store.version_by_key(key, 1).case.case_id for key in keys]
    assert versions == ["TB-soon", "TB-late", "TB-later"]


def test_a_leased_job_is_nobody_elses(scoring_house: House, case: Case) -> None:
    lease(scoring_house)
    assert scoring_house.store.score_queue.lease(worker="b", lease_s=60) is None


def test_a_lost_lease_is_taken_over_and_its_old_holder_writes_nothing(scoring_house: House, case: Case) -> None:
    slow = lease(scoring_house, lease_s=-1)
    taken_over = lease(scoring_house, worker="b")
    assert (taken_over.job_id, taken_over.fence) == (slow.job_id, slow.fence + 1)
    with pytest.raises(LeaseLostError):
        scoring_house.store.score_queue.finish(slow, suggestion_for(scoring_house), worker="a")
    with pytest.raises(LeaseLostError):
        scoring_house.store.score_queue.fail(slow, "late", worker="a", retry_in_s=None)
    assert scoring_house.store.view(KEY).suggestion is None
    assert scoring_house.store.score_queue.finish(taken_over, suggestion_for(scoring_house), worker="b")
    with pytest.raises(LeaseLostError):
        scoring_house.store.score_queue.finish(taken_over, suggestion_for(scoring_house), worker="b")


def test_a_suggestion_for_an_older_version_is_dropped(scoring_house: House, case: Case, filer: User) -> None:
    job, old = lease(scoring_house), suggestion_for(scoring_house)
    scoring_house.store.replace_case(KEY, build_case(buyer_statement="碎了"), by=filer)
    assert scoring_house.store.score_queue.finish(job, old, worker="a") is False
    assert scoring_house.store.view(KEY).suggestion is None
    assert scoring_house.worker().work_once()
    suggestion = scoring_house.store.view(KEY).suggestion
    assert suggestion is not None
    assert suggestion.suggestion_id != old.suggestion_id


def test_only_the_newest_version_of_a_case_waits(scoring_house: House, case: Case, filer: User) -> None:
    for n in range(5):
        draft = EvidenceDraft.model_validate(
            {"documents": [{"document_id": f"d{n}", "kind": "invoice", "filed_by": "seller"}]}
        )
        scoring_house.store.add_evidence(KEY, draft, by=filer)
    assert scoring_house.store.score_queue.count_open() == 1
    assert lease(scoring_house).version == 6


def test_a_failure_is_tried_again_and_then_said_on_the_case(scoring_house: House, case: Case) -> None:
    worker = failing_worker(scoring_house, NotFittedError("no weights"), max_attempts=2)
    assert worker.work_once()
    assert scoring_house.store.view(KEY).suggestion_state == "pending"
    assert not worker.work_once()
    make_due(scoring_house)
    assert worker.work_once()
    view = scoring_house.store.view(KEY)
    assert (view.suggestion_state, view.suggestion_problem) == ("failed", "NotFittedError: no weights")
    assert scoring_house.store.score_queue.count_open() == 0


def test_a_failure_that_is_cut_short_keeps_no_half_of_a_telephone_number(scoring_house: House, case: Case) -> None:
    failing_worker(scoring_house, ValueError("，" * 480 + "13812345678"), max_attempts=1).work_once()
    said = scoring_house.store.view(KEY).suggestion_problem or ""
    assert said.startswith("ValueError: ")
    assert not re.search(r"\d", said)


def test_new_evidence_revives_a_failed_case(scoring_house: House, case: Case, filer: User) -> None:
    failing_worker(scoring_house, ValueError("x"), max_attempts=1).work_once()
    scoring_house.store.replace_case(KEY, build_case(buyer_statement="碎了"), by=filer)
    assert scoring_house.store.view(KEY).suggestion_state == "pending"
    assert scoring_house.worker().work_once()
    assert scoring_house.store.view(KEY).suggestion_state == "ready"


def test_the_same_suggestion_again_is_stored_once(scoring_house: House, case: Case) -> None:
    suggestion, version = suggestion_for(scoring_house), scoring_house.store.version(KEY)
    for _ in range(2):
        assert scoring_house.store.keep_suggestion(version, suggestion, by="test")
    stored = [event for event in scoring_house.store.audit_trail() if event.action == "suggestion_stored"]
    assert len(stored) == 1


def test_scoring_without_a_model_is_refused() -> None:
    file = CaseFile(build_case(), {})
    with pytest.raises(ModelAbsentError):
        Scoring(None, turns=1, wait_s=1).suggest(file)
