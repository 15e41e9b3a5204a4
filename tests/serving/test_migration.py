"""The schema: one head, reached from nothing, left again, and equal to what the code expects."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from serving.house import House
from serving.migration import current_revision, downgrade, heads
from serving.records import Role
from serving.store import Store
from serving.store.database import Database
from serving.tables import cases, metadata
from tests.builders import build_case, hours, signed
from tests.serving.conftest import user_of


def test_there_is_one_head() -> None:
    assert len(heads()) == 1


def test_the_migrated_schema_is_the_one_the_code_expects(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/new/review.db")
    store.migrate()
    with store.database.read() as connection:
        assert current_revision(connection) == heads()[0]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_going_down_leaves_nothing_and_up_again_works(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/review.db")
    store.migrate()
    with store.database.alter() as connection:
        downgrade(connection, to="base")
        assert current_revision(connection) is None
    store.migrate()
    assert store.counts()


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
def test_cases_on_file_get_their_comparable_facts_going_up_and_lose_nothing_going_down(house: House) -> None:
    filer = user_of(house, Role.SERVICE)
    for n in range(3):
        by = ("buyer", "locker", None)[n]
        confirmed = hours(72) if n == 1 else None
        case = build_case(case_id=f"TB-{n}", logistics=[signed(by)], order={"receipt_confirmed_at": confirmed})
        house.store.take_in(case, by=filer)
    before = _facts(house)
    with house.store.database.alter() as connection:
        downgrade(connection, to="0007_photo_checks")
        assert connection.execute(sa.text("SELECT count(*) FROM case_versions")).scalar_one() == 3
    house.store.migrate()
    assert _facts(house) == before
    assert [row[:3] for row in before] == [
        ("received", False, "buyer"),
        ("received", True, "locker"),
        ("received", False, None),
    ]


def _facts(house: House) -> list[tuple[object, ...]]:
    with house.store.database.read() as connection:
        query = sa.select(cases.c.goods_state, cases.c.receipt_confirmed, cases.c.signed_by, cases.c.category)
        return [tuple(row) for row in connection.execute(query.order_by(cases.c.id))]


def test_two_starts_at_once_migrate_once(tmp_path: Path) -> None:
    problems: list[Exception] = []

    def start() -> None:
        try:
            Store(f"sqlite:///{tmp_path}/review.db").migrate()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_sqlite_survives_a_power_cut_and_keeps_its_references(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/review.db")
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
