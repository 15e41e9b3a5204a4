"""The way to the next case stays short, however long the queue."""

from typing import Any

import sqlalchemy as sa

from serving.house import House
from serving.records import Role
from tests.serving.conftest import user_of


def test_neither_ones_own_cases_nor_free_ones_are_looked_for_along_the_whole_queue(house: House) -> None:
    asked: list[tuple[str, Any]] = []
    engine = house.store.database.engine

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM cases" in statement and "ORDER BY cases.priority" in statement:
            asked.append((statement, parameters))

    house.store.desk.take_next(by=user_of(house, Role.LEAD))
    sa.event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 6
    with house.store.database.read() as connection:
        for statement, parameters in asked:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert "(assigned_to=? AND status=?)" in plan[0], plan
            assert not any("TEMP B-TREE" in step for step in plan), plan
