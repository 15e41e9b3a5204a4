"""A PostgreSQL server of the test's own, on a free port, that can be stopped hard and started again.

initdb refuses root: then the server runs as the user `postgres`. What is committed is on the way to the disk when the
answer comes (synchronous_commit), but not flushed (fsync off): it survives the server's death, not the machine's.
"""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from pytest_postgresql.janitor import DatabaseJanitor

BINARIES = Path(os.environ.get("POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
_NAMES = itertools.count(1)


class PostgresServer:
    """A server that runs from `start` to `remove`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="evidence-review-pg-", dir="/tmp"))
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
            "--locale=C.UTF-8",
        )  # fmt: skip

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off "
            "-c full_page_writes=off -c max_connections=200"
        )
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "-o", options, "start"
        )

    def stop(self, *, mode: str = "fast") -> None:
        """mode : "immediate" ends the server as a crash would"""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        self.stop(mode="immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, *, template: str | None = None) -> str:
        """Make a database, as a copy of `template` if given, and return its name."""
        name = f"review_{next(_NAMES)}"
        self._janitor(name, template=template).init()
        return name

    def drop_database(self, name: str) -> None:
        self._janitor(name).drop()

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _janitor(self, name: str, *, template: str | None = None) -> DatabaseJanitor:
        return DatabaseJanitor(
            user="postgres",
            host="127.0.0.1",
            port=self.port,
            dbname=name,
            template_dbname=template,
        )

    def _run(self, program: str, *arguments: str) -> None:
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*as_postgres, str(BINARIES / program), *arguments]
        with (self.folder / "commands").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/")
