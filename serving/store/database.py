"""The database connection: how reads and writes begin and end.

SQLite: WAL, synchronous=FULL, one writer at a time by BEGIN IMMEDIATE (a deferred read-then-write fails at once and
ignores busy_timeout); what is deleted is overwritten. PostgreSQL: plain transactions. Errors quote nothing of what is
stored, for they reach the log. Knows no tables.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serving.refusals import StorageError, StorageFullError

_BUSY_TIMEOUT_MS = 30_000
# Seconds to connect and milliseconds until what was sent must have arrived: a network that swallows packets is an
# outage like any other.
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
_DATA_EXCEPTION = "22"


class Database:
    """An engine and the two kinds of transaction.

    url : SQLAlchemy address; the folder of an SQLite file is made
    before_commit : called at the end of each writing transaction, inside it
    """

    def __init__(self, url: str, *, before_commit: Callable[[Connection], None] = lambda _: None) -> None:
        self.url = url
        self.before_commit = before_commit
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._one_writer = threading.Lock()
        self._seen = threading.local()
        if self.is_sqlite:
            if parsed.database and parsed.database != ":memory:":
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(url, pool_size=10, max_overflow=40, hide_parameters=True)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = sa.create_engine(
                parsed,
                pool_size=10,
                max_overflow=40,
                pool_pre_ping=True,
                connect_args=_PATIENCE,
                hide_parameters=True,
            )
            event.listen(self.engine, "handle_error", _hide_values)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout and changes nothing."""
        shared: Connection | None = getattr(self._seen, "connection", None)
        if shared is not None:
            with _named_troubles():
                yield shared
            return
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with _named_troubles(), self.engine.connect() as connection, connection.execution_options(**level).begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every `read` of this thread inside see one and the same state, over one connection.

        What is written meanwhile, here or elsewhere, isn't seen before the end.
        """
        with self.read() as connection:
            outer = getattr(self._seen, "connection", None)
            self._seen.connection = connection
            try:
                yield
            finally:
                self._seen.connection = outer

    @contextmanager
    def write(self, *, patience_s: float | None = None) -> Iterator[Connection]:
        """A transaction that commits at the end or, on any error, leaves no trace.

        patience_s : how long to wait for each lock that another writer has; None for as long as usual
        """
        with self.alter(patience_s=patience_s) as connection:
            yield connection
            self.before_commit(connection)

    @contextmanager
    def alter(self, *, patience_s: float | None = None) -> Iterator[Connection]:
        """Like `write`, for what is no change of the service's state: nothing is called before it commits."""
        if not self.is_sqlite:
            with _named_troubles(), self.engine.begin() as connection:
                if patience_s is not None:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_in_ms(patience_s)}")
                yield connection
            return
        with (
            _named_troubles(),
            self._turn(patience_s),
            self.engine.connect() as connection,
            _patient(connection, patience_s),
            connection.execution_options(immediate=True).begin(),
        ):
            yield connection

    @contextmanager
    def _turn(self, patience_s: float | None) -> Iterator[None]:
        """Be this process's one writer. Raises StorageError where another stays it for longer."""
        if not self._one_writer.acquire(timeout=-1 if patience_s is None else patience_s):
            raise StorageError("the database is busy with other changes; try again shortly")
        try:
            yield
        finally:
            self._one_writer.release()

    def scrub(self) -> bool:
        """Give back the room of what was deleted, so that its bytes are in the database's files no more.

        SQLite: the file is written anew and the write-ahead log emptied. PostgreSQL: VACUUM frees the rows; pages and
        the write-ahead log keep their bytes until they are written over. Returns whether the log could be emptied.
        """
        if not self.is_sqlite:
            with _named_troubles(), self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
            return True
        with _named_troubles(), self._one_writer:
            raw = self.engine.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute("VACUUM")
                busy: int = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.close()
            except sqlite3.OperationalError as error:
                raise OperationalError("VACUUM", None, error) from error
            finally:
                raw.close()
            return not busy

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _patient(connection: Connection, patience_s: float | None) -> Iterator[None]:
    """Let an SQLite connection wait that long for other processes that write."""
    raw: Any = connection.connection.driver_connection
    if patience_s is not None:
        raw.execute(f"PRAGMA busy_timeout={_in_ms(patience_s)}")
    try:
        yield
    finally:
        if patience_s is not None:
            raw.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _in_ms(seconds: float) -> int:
    return round(seconds * 1000)


@contextmanager
def _named_troubles() -> Iterator[None]:
    """Turn the driver's troubles of operation into our own. Broken constraints are left as they are."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StorageError("the database has no connection free; try again shortly") from error
    except OperationalError as error:
        text = str(error.orig).lower()
        if "full" in text or "no space" in text:
            raise StorageFullError from error
        raise StorageError("the database doesn't answer now; try again shortly") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StorageError("the database connection was lost; try again shortly") from error
        raise


def _hide_values(context: ExceptionContext) -> None:
    """Cut an error of PostgreSQL down to what quotes no value: DETAIL tells whole rows, a data error its datum."""
    error, shown = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return
    whole = str(error)
    is_of_data = error.sqlstate.startswith(_DATA_EXCEPTION)
    told = f"SQLSTATE {error.sqlstate}" if is_of_data else error.diag.message_primary or ""
    error.args = (told,)
    if shown is not None:
        shown.args = (str(shown.args[0]).replace(whole, told),)


def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Ask until it is done: of two that switch a new file at once, SQLite refuses one without the busy timeout."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
