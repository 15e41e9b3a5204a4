"""Scoring turns: everyone gets their own answer, who waits is scored together, and a bad case fails alone."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.case_file import CaseFile
from models.domain import Suggestion
from models.vocabulary import Claim
from serving.refusals import ScoringBusyError
from serving.scoring import Scoring, warm_up
from tests.builders import build_case
from tests.suggesters import build_suggester

PATIENCE_S = 60


class Gated:
    """The tests' Suggester; its first batch waits at a gate, and a case that says so can't be scored."""

    model_version = "ruling/tests"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []

    def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]:
        self.batches.append([file.case.case_id for file in files])
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        if any(file.case.buyer_statement == "raises" for file in files):
            raise RuntimeError("no way to score this")
        return build_suggester().suggest(files)


def _file(name: str, **changes: str) -> CaseFile:
    return CaseFile(build_case(case_id=name, **changes), {})


def _wait_until_waiting(scoring: Scoring, n_waiting: int) -> None:
    until = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if len(scoring._waiting) == n_waiting:
            return
        until.wait(0.01)
    raise AssertionError("they never came to wait")


@pytest.mark.parametrize(("budget_s", "together"), [(PATIENCE_S, 4), (0, 1)], ids=["within the budget", "no budget"])
def test_who_waits_is_scored_together_oldest_first_and_a_bad_case_fails_alone(budget_s: float, together: int) -> None:
    suggester = Gated()
    scoring = Scoring(suggester, turns=1, wait_s=PATIENCE_S, budget_s=budget_s)
    suggester.gate.set()
    scoring.suggest(_file("pace"))
    suggester.gate.clear()
    suggester.entered.clear()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(scoring.suggest, _file("c0"))
        assert suggester.entered.wait(PATIENCE_S)
        others = []
        for place in range(1, 5):
            said = {"buyer_statement": "raises"} if place == 2 else {}
            others.append(pool.submit(scoring.suggest, _file(f"c{place}", **said)))
            _wait_until_waiting(scoring, place)
        suggester.gate.set()
        answers = [first, *others]
        for place in (0, 1, 3, 4):
            assert answers[place].result(PATIENCE_S).case_id == f"c{place}"
        with pytest.raises(RuntimeError, match="no way to score this"):
            answers[2].result(PATIENCE_S)
    assert suggester.batches[2] == [f"c{place}" for place in range(1, 1 + together)]


def test_who_gets_no_turn_in_time_is_refused_and_no_longer_waits() -> None:
    suggester = Gated()
    scoring = Scoring(suggester, turns=1, wait_s=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(scoring.suggest, _file("c0"))
        assert suggester.entered.wait(PATIENCE_S)
        with pytest.raises(ScoringBusyError):
            scoring.suggest(_file("c1"))
        assert not scoring._waiting
        suggester.gate.set()
        assert first.result(PATIENCE_S).case_id == "c0"
    assert suggester.batches == [["c0"]]


def test_as_many_batches_run_at_a_time_as_there_are_turns() -> None:
    suggester = Gated()
    scoring = Scoring(suggester, turns=2, wait_s=PATIENCE_S)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(scoring.suggest, _file(f"c{place}")) for place in range(3)]
        _wait_until_waiting(scoring, 1)
        assert len(suggester.batches) == 2
        suggester.gate.set()
        assert {answer.result(PATIENCE_S).case_id for answer in asked} == {"c0", "c1", "c2"}


def test_warming_up_scores_a_case_of_each_claim_with_both_kinds_of_photos() -> None:
    seen: list[CaseFile] = []

    class Watching(Gated):
        def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]:
            seen.extend(files)
            return super().suggest(files)

    suggester = Watching()
    suggester.gate.set()
    warm_up(suggester)
    assert {file.case.claim for file in seen} == set(Claim)
    assert all(set(file.photos) == {"listing", "received"} and file.case.chat for file in seen)
