"""The simulated queue agrees with what is known exactly, and deadlines come first only where asked."""

import numpy as np
import pytest

from bench.queueing import Stream, draw_stream, erlang_wait_s, run_queue, workers_needed


def _poisson(*, per_s: float, mean_service_s: float, n_cases: int) -> Stream:
    rng = np.random.default_rng(3)
    arrives_s = np.cumsum(rng.exponential(1 / per_s, n_cases))
    return Stream(arrives_s, rng.exponential(mean_service_s, n_cases), arrives_s + 1)


@pytest.mark.parametrize(("n_workers", "load"), [(1, 0.6), (4, 0.8)])
def test_exponential_queues_wait_as_erlang_says(n_workers: int, load: float) -> None:
    stream = _poisson(per_s=load * n_workers, mean_service_s=1.0, n_cases=60_000)
    known = erlang_wait_s(per_s=load * n_workers, mean_service_s=1.0, n_workers=n_workers)
    found = run_queue(stream, n_workers=n_workers)
    assert found.waits_s.mean() == pytest.approx(known, rel=0.1)
    assert found.busy == pytest.approx(load, rel=0.05)


def test_one_server_has_the_textbook_wait() -> None:
    assert erlang_wait_s(per_s=0.5, mean_service_s=1.0, n_workers=1) == pytest.approx(1.0)
    assert erlang_wait_s(per_s=2, mean_service_s=1.0, n_workers=2) == np.inf


def test_a_stream_has_the_rate_asked_for_and_its_height_at_noon() -> None:
    stream = draw_stream(per_day=20_000, n_days=3, mean_service_s=0.2, peak=1.8)
    assert len(stream.arrives_s) == pytest.approx(60_000, rel=0.02)
    assert stream.service_s.mean() == pytest.approx(0.2, rel=0.02)
    hours = (stream.arrives_s / 3_600 % 24).astype(int)
    noon, midnight = (np.isin(hours, around).sum() for around in ((11, 12), (23, 0)))
    assert noon / midnight == pytest.approx(1.8 / 0.2, rel=0.2)


def test_deadlines_first_serves_the_case_due_soonest() -> None:
    stream = Stream(np.array([0.0, 1.0, 2.0]), np.array([10.0, 10.0, 1.0]), np.array([99.0, 99.0, 12.0]))
    by_age = run_queue(stream, n_workers=1, discipline="oldest first")
    by_due = run_queue(stream, n_workers=1, discipline="deadline first")
    assert by_age.waits_s.tolist() == [0, 9, 18]
    assert by_due.waits_s.tolist() == [0, 10, 8]
    assert (by_age.late, by_due.late) == (pytest.approx(1 / 3), 0)


def test_workers_needed_are_the_work_over_the_time() -> None:
    assert workers_needed(1_000_000, within_s=8 * 3_600, mean_service_s=0.2, usable=1.0) == 7
    assert workers_needed(1_000_000, within_s=8 * 3_600, mean_service_s=0.2, usable=0.7) == 10
