"""The schema: one head, reached from nothing, left again, and equal to what the code expects."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from serving.audit import Verified
from serving.house import House
from serving.migration import alembic_config, current_revision, downgrade, heads, upgrade
from serving.records import Role
from serving.store import Store
from serving.store.database import Database
from serving.tables import cases, jobs, metadata
from tests.builders import build_case, hours, signed
from tests.serving.conftest import user_of
from tests.serving.used import KEY, use_everything


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
def test_scores_asked_for_before_are_wanted_by_their_cases_clocks(house: House) -> None:
    house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
    with house.store.database.alter() as connection:
        downgrade(connection, to="0009_one_retraining")
    house.store.migrate()
    with house.store.database.read() as connection:
        due = connection.execute(sa.select(cases.c.due_at)).scalar_one()
        assert due is not None
        assert connection.execute(sa.select(jobs.c.due_at)).scalar_one() == due


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


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
def test_every_revision_keeps_what_it_can_hold_going_down_and_up(scoring_house: House) -> None:
    """Down one by one, each keeps every row and column that it has; up again, what the oldest held is unchanged."""
    use_everything(scoring_house)
    database = scoring_house.store.database
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    with database.alter() as connection:
        held = _everything(connection)
        assert [name for name, rows in held.items() if not rows] == []
        for revision in revisions[1:]:
            downgrade(connection, to=revision)
            now = _everything(connection)
            assert now == _restricted(held, to=now)
            held = now
        oldest = held
        for revision in reversed(revisions[:-1]):
            upgrade(connection, to=revision)
            assert current_revision(connection) == revision
            assert _restricted(_everything(connection), to=oldest) == oldest
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    scoring_house.store.migrate()
    assert isinstance(scoring_house.store.verify_audit(), Verified)
    assert scoring_house.store.view(KEY).decisions


def _everything(connection: sa.Connection) -> dict[str, list[dict[str, object]]]:
    """Return every row of every table that there is, whatever the code expects.

    But for answers kept for repeats: 0005 drops them on purpose, both ways.
    """
    tables = sa.MetaData()
    tables.reflect(connection)
    return {
        table.name: [dict(row._mapping) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
        for table in tables.sorted_tables
        if table.name not in ("alembic_version", "idempotency_keys")
    }


def _columns(held: dict[str, list[dict[str, object]]]) -> dict[str, set[str]]:
    return {name: set(rows[0]) if rows else set() for name, rows in held.items()}


def _restricted(
    held: dict[str, list[dict[str, object]]], *, to: dict[str, list[dict[str, object]]]
) -> dict[str, list[dict[str, object]]]:
    """Return of `held` the tables and columns that `to` has."""
    known = _columns(to)
    return {name: [{key: row[key] for key in row if key in known[name]} for row in held[name]] for name in to}


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


def test_many_first_connections_at_once_all_succeed(tmp_path: Path) -> None:
    """Of two switches of one new file to WAL, SQLite refuses one at once, whatever its busy timeout."""
    problems: list[Exception] = []

    def connect(path: Path, together: threading.Barrier) -> None:
        database = Database(f"sqlite:///{path}")
        together.wait()
        try:
            with database.read() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        except Exception as error:
            problems.append(error)
        finally:
            database.close()

    for number in range(100):
        together = threading.Barrier(6)
        threads = [threading.Thread(target=connect, args=(tmp_path / f"{number}.db", together)) for _ in range(6)]
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
