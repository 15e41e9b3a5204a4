"""One moment for all that a page reads; errors that quote nothing of what is stored."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DataError

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import CaseStatus, Role
from tests.builders import build_case
from tests.logs import service_logs
from tests.serving.conftest import headers_of, user_of

SAID = "杯底的裂纹像一条河"
REFUSE_ROWS = {
    "sqlite": "CREATE TRIGGER refused BEFORE INSERT ON cases BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "postgresql": "ALTER TABLE cases ADD CONSTRAINT refused CHECK (version < 0)",
}


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
def test_a_snapshot_sees_one_moment_over_one_connection_and_ends_with_its_block(house: House) -> None:
    filer = user_of(house, Role.SERVICE)
    house.store.take_in(build_case(case_id="TB-1"), by=filer)
    with house.store.snapshot():
        before = house.store.counts()
        house.store.take_in(build_case(case_id="TB-2"), by=filer)
        with house.store.database.read() as one, house.store.database.read() as other:
            assert one is other
        assert house.store.counts() == before
        assert before[CaseStatus.OPEN] == 1
    assert house.store.counts()[CaseStatus.OPEN] == 2


def test_a_snapshot_that_fails_leaves_the_next_read_its_own(house: House) -> None:
    with pytest.raises(RuntimeError), house.store.snapshot():
        raise RuntimeError
    house.store.take_in(build_case(case_id="TB-1"), by=user_of(house, Role.SERVICE))
    assert house.store.counts()[CaseStatus.OPEN] == 1


@pytest.mark.parametrize("database_kind", REFUSE_ROWS, indirect=True)
def test_an_unforeseen_error_of_the_database_is_logged_without_what_was_to_be_stored(
    client: TestClient, house: House, database_kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with house.store.database.alter() as connection:
        connection.exec_driver_sql(REFUSE_ROWS[database_kind])
    headers = headers_of(house, Role.SERVICE)
    with service_logs():
        answer = client.post("/api/v1/cases", json={**EXAMPLE_CASE, "listing": {"title": SAID}}, headers=headers)
        printed = capsys.readouterr()
    assert answer.status_code == 500
    for words in ("IntegrityError", "refused", "INSERT INTO cases"):
        assert words in printed.err
    assert SAID not in answer.text + printed.out + printed.err
    assert EXAMPLE_CASE["case_id"] not in printed.out + printed.err


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_data_error_quotes_no_datum(house: House) -> None:
    number = sa.cast(sa.cast(SAID, sa.Text), sa.Integer)
    with pytest.raises(DataError) as caught, house.store.database.read() as connection:
        connection.execute(sa.select(number))
    assert SAID not in f"{caught.value} {caught.value.orig} {caught.value.__cause__}"
    assert "22P02" in str(caught.value)
