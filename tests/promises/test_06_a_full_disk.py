"""Promise 6: with a full disk the answer is a clear 507 or 503, nothing is half-written, and it goes on with room.

The disk is full by RLIMIT_FSIZE, set on the running service: no file of its may grow beyond what the largest has.
"""

import errno
import resource
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE
from serving.audit import Verified
from serving.house import House
from serving.records import CaseKey, Role
from tests.builders import photo_bytes
from tests.promises.served import Served, in_words
from tests.serving.conftest import headers_of

CASES = "/api/v1/cases"
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def served(house: House, tmp_path: Path) -> Iterator[Served]:
    service = Served(tmp_path, database_url=house.settings.database_url, photo_dir=house.settings.photo_dir)
    service.start()
    yield service
    service.kill()


def fill_disk(served: Served, *, room: int) -> None:
    """Let no file of the service grow beyond `room` bytes."""
    assert served.process is not None
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def make_room(served: Served) -> None:
    assert served.process is not None
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)


def send(client: httpx.Client, headers: dict[str, str], number: int) -> list[httpx.Response]:
    """File a case with a photo."""
    case_id = f"case-{number}"
    case = {**EXAMPLE_CASE, "case_id": case_id}
    filed = client.post(CASES, json=case, headers={**headers, "Idempotency-Key": case_id})
    photo = client.put(f"{CASES}/taobao/{case_id}/photos/p1", content=photo_bytes(seed=number), headers=headers)
    return [filed, photo]


def check(house: House, served: Served, *, n_requests: int) -> Counter[int]:
    headers = headers_of(house, Role.SERVICE)
    with httpx.Client(base_url=served.url, timeout=60) as client:
        assert [answer.status_code for answer in send(client, headers, 0)] == [201, 201]
        fill_disk(served, room=500)
        answers = [answer for number in range(1, n_requests + 1) for answer in send(client, headers, number)]
        refused = Counter(answer.status_code for answer in answers)
        assert set(refused) <= {404, 503, 507}, refused
        assert refused[503] + refused[507] >= n_requests
        assert all("retry-after" in answer.headers for answer in answers if answer.status_code >= 500)
        assert client.get(f"{CASES}/taobao/case-0", headers=headers).status_code == 200
        make_room(served)
        again = [answer.status_code for number in range(1, n_requests + 1) for answer in send(client, headers, number)]
        assert set(again) == {201}
    for number in range(n_requests + 1):
        version = house.store.version(CaseKey(Platform.TAOBAO, f"case-{number}"))
        assert house.photos.get(version.digests["p1"]) == photo_bytes(seed=number)
    assert not list(house.settings.photo_dir.rglob(".new-*"))
    assert isinstance(house.store.verify_audit(), Verified)
    return refused


def test_a_full_disk_is_said_and_left_behind(house: House, served: Served) -> None:
    check(house, served, n_requests=3)


def test_a_full_photo_folder_is_507_until_there_is_room(
    house: House, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    headers = headers_of(house, Role.SERVICE)
    assert client.post(CASES, json=EXAMPLE_CASE, headers=headers).status_code == 201
    place = f"{CASES}/taobao/{EXAMPLE_CASE['case_id']}/photos/p1"
    with monkeypatch.context() as full:
        full.setattr("os.fsync", no_room)
        refused = client.put(place, content=photo_bytes(seed=1), headers=headers)
    assert (refused.status_code, refused.json()["status"]) == (507, 507)
    assert "retry-after" in refused.headers
    assert client.put(place, content=photo_bytes(seed=1), headers=headers).status_code == 201


def test_a_full_database_is_507_until_there_is_room(house: House, client: TestClient) -> None:
    engine = house.store.database.engine
    headers = headers_of(house, Role.SERVICE)
    with engine.connect() as connection:
        n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def no_more(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {n_pages}")

    sa.event.listen(engine, "connect", no_more)
    engine.dispose()
    bodies = [{**EXAMPLE_CASE, "case_id": f"case-{number}", "buyer_statement": "碎" * 2_000} for number in range(20)]
    answers = [client.post(CASES, json=body, headers=headers) for body in bodies]
    sa.event.remove(engine, "connect", no_more)
    engine.dispose()
    refused = [place for place, answer in enumerate(answers) if answer.status_code == 507]
    assert {answer.status_code for answer in answers} <= {201, 507}
    assert refused
    assert all("retry-after" in answers[place].headers for place in refused)
    again = [client.post(CASES, json=bodies[place], headers=headers).status_code for place in refused]
    assert set(again) == {201}
    assert isinstance(house.store.verify_audit(), Verified)


@pytest.mark.long
def test_a_full_disk_under_many_requests(house: House, served: Served, measured: Callable[[str], None]) -> None:
    refused = check(house, served, n_requests=100)
    measured(
        f"100 cases and their photos with RLIMIT_FSIZE on the running service: {in_words(refused)} (a photo whose case "
        "was refused is unknown), none half-written; all taken once there was room, without a restart"
    )
