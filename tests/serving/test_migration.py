"""The schema: one head, reached from nothing, left again, and equal to what the code expects."""

import threading
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from serving.migration import current_revision, downgrade, heads
from serving.store import Store
from serving.store.database import Database
from serving.tables import metadata


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
