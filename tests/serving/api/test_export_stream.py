"""An export takes no more memory for more rows, and opens as text in a spreadsheet."""

import asyncio
import csv
import io
import tracemalloc

import pytest

from models.domain import Decision
from serving.api.oversight import export_decisions
from serving.house import House
from serving.records import CaseKey, Person, Role
from serving.tables import decision_events
from tests.builders import build_case
from tests.serving.conftest import user_of

N_ROWS = 1_200


def fill(house: House, *, n_rows: int, first: int = 0, reason: str = "签收不当") -> None:
    """Append `n_rows` decisions on one case, turn after turn."""
    person, case = user_of(house, Role.ARBITRATOR), build_case()
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    key = house.store.version(CaseKey(case.platform, case.case_id)).case_key
    decision = Decision.model_validate(
        {
            "decision_id": "d",
            "case_id": case.case_id,
            "platform": case.platform,
            "case_version": 1,
            "stage": "first_review",
            "ruling": "refund",
            "responsible": "seller",
            "remedy": {"refund_minor": 5900},
            "reason": reason,
            "decided_by": person.name,
            "decided_at": case.opened_at,
            "suggestion_id": None,
            "suggestion_shown": False,
            "agreed": None,
            "model_version": None,
            "review_seconds": None,
            "input_digest": "sha256:0",
        }
    )
    rows = [
        {
            "event_id": f"e-{turn}",
            "case_key": key,
            "version": 1,
            "kind": "decision",
            "stage": "first_review",
            "turn": turn,
            "is_end": False,
            "by_user": person.user_key,
            "at": case.opened_at,
            "payload": decision.model_dump_json(),
        }
        for turn in range(first, first + n_rows)
    ]
    with house.store.database.write() as connection:
        connection.execute(decision_events.insert(), rows)


def exported(house: House) -> tuple[int, int]:
    """Return how many lines the CSV has, and the most memory that reading it took, bytes."""
    auditor = Person(user=user_of(house, Role.AUDITOR), via="token")

    async def drain() -> int:
        return sum([str(chunk).count("\n") async for chunk in export_decisions(auditor, house.store).body_iterator])

    tracemalloc.start()
    n_lines = asyncio.run(drain())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return n_lines, peak


def test_five_times_the_rows_take_no_more_memory(house: House) -> None:
    fill(house, n_rows=N_ROWS)
    exported(house)
    n_few, few = exported(house)
    fill(house, n_rows=4 * N_ROWS, first=N_ROWS)
    n_many, many = exported(house)
    assert (n_few, n_many) == (N_ROWS + 1, 5 * N_ROWS + 1)
    assert many < 1.25 * few


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", " =1", "\u3000＋1"])
def test_no_cell_is_taken_for_a_formula(house: House, reason: str) -> None:
    fill(house, n_rows=1, reason=reason)
    chunks = export_decisions(Person(user=user_of(house, Role.AUDITOR), via="token"), house.store).body_iterator

    async def text() -> str:
        return "".join([str(chunk) async for chunk in chunks])

    (row,) = csv.DictReader(io.StringIO(asyncio.run(text()).removeprefix("\ufeff"), newline=""))
    assert row["reason"] == f"'{reason}"
