"""All rows out of a database and into another, of either kind: what backup and restore stand on.

Rows are JSON objects; times are ISO 8601 in UTC, bytes are base64. Knows no files.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from serving.migration import current_revision, upgrade
from serving.tables import metadata

Row = dict[str, Any]

_ROWS_AT_A_TIME = 1_000


def table_names() -> list[str]:
    """Return the tables in an order in which none refers to a later one."""
    return [table.name for table in metadata.sorted_tables]


def rows_of(connection: Connection, name: str) -> Iterator[Row]:
    """Yield a table's rows, a thousand in memory at a time."""
    table = metadata.tables[name]
    query = sa.select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(query):
        yield {key: _out(value) for key, value in row._mapping.items()}


def is_empty(connection: Connection) -> bool:
    """Return whether the database holds no row, or no table yet."""
    found = set(sa.inspect(connection).get_table_names()) & set(table_names())
    return all(
        connection.execute(sa.select(sa.literal(1)).select_from(metadata.tables[name]).limit(1)).first() is None
        for name in found
    )


def fill(connection: Connection, rows: Iterable[tuple[str, Iterable[Row]]], *, revision: str) -> None:
    """Fill an empty database with rows that were written at `revision` of the schema, then bring it up to date.

    rows : by table, in the order of `table_names`
    """
    if current_revision(connection) is None:
        upgrade(connection, to=revision)
    old = sa.MetaData()
    old.reflect(connection)
    for name, content in rows:
        table = old.tables[name]
        readers = {
            column.name: _time if isinstance(column.type, sa.DateTime) else _bytes
            for column in table.columns
            if isinstance(column.type, sa.DateTime | sa.LargeBinary)
        }
        batch: list[Row] = []
        for row in content:
            batch.append({**row, **{key: read(row[key]) for key, read in readers.items()}})
            if len(batch) == _ROWS_AT_A_TIME:
                connection.execute(table.insert(), batch)
                batch = []
        if batch:
            connection.execute(table.insert(), batch)
        if connection.dialect.name == "postgresql" and "id" in table.columns:
            _go_on_counting(connection, table)
    upgrade(connection)


def _go_on_counting(connection: Connection, table: sa.Table) -> None:
    """Let the next key of a table follow the highest that was filled in."""
    highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one()
    if highest is not None:
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(sequence, highest)))


def _out(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
