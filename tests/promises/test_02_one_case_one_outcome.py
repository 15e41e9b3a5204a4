"""Promise 2: of many confirmations of one case at once, from two processes, exactly one stands."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.house import House
from serving.records import Role
from tests.promises.served import Served, in_words
from tests.serving.conftest import headers_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401

CASES = "/api/v1/cases"


@pytest.fixture
def two_processes(house: House, tmp_path: Path) -> Iterator[list[Served]]:
    """Two services on the test's database."""
    running = [Served(tmp_path, database_url=house.settings.database_url) for _ in range(2)]
    for service in running:
        service.start()
    yield running
    for service in running:
        service.kill()


def confirm_at_once(services: list[Served], people: list[dict[str, str]], case_id: str) -> Counter[int]:
    """Let everybody decide the same case at the same moment; return how many got which status."""
    start, answers = threading.Barrier(len(people)), []

    def press(place: int, headers: dict[str, str]) -> None:
        address = f"{services[place % 2].url}{CASES}/taobao/{case_id}/decision"
        with httpx.Client(timeout=60) as client:
            start.wait()
            sent = {**headers, "Idempotency-Key": f"{case_id}-{place}", "If-Match": '"1"'}
            answers.append(client.post(address, json=EXAMPLE_DECISION, headers=sent).status_code)

    threads = [threading.Thread(target=press, args=(place, headers)) for place, headers in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(answers)


def check(house: House, services: list[Served], *, n_people: int, n_cases: int) -> Counter[int]:
    people = [headers_of(house, Role.ARBITRATOR, name=f"person-{place}") for place in range(n_people)]
    service, answers = headers_of(house, Role.SERVICE), Counter[int]()
    for place in range(n_cases):
        case = {**EXAMPLE_CASE, "case_id": f"case-{place}"}
        httpx.post(f"{services[0].url}{CASES}", json=case, headers=service, timeout=60)
        found = confirm_at_once(services, people, case["case_id"])
        assert found[201] == 1, found
        assert found[409] + found[412] == n_people - 1, found
        answers += found
        view = httpx.get(f"{services[1].url}{CASES}/taobao/case-{place}", headers=people[0], timeout=60).json()
        assert [record["state"] for record in view["decisions"]] == ["standing"]
    return answers


def test_of_confirmations_from_two_processes_exactly_one_stands(house: House, two_processes: list[Served]) -> None:
    check(house, two_processes, n_people=16, n_cases=1)


@pytest.mark.long
def test_of_a_hundred_confirmations_exactly_one_stands(
    house: House, two_processes: list[Served], measured: Callable[[str], None]
) -> None:
    answers = check(house, two_processes, n_people=100, n_cases=3)
    kind = house.settings.database_url.split(":")[0]
    measured(f"{kind}, 3 cases, 100 people at once from 2 processes on each: {in_words(answers)}")
