"""`python -m bench.export`: what streaming every decision costs the running service, in time and in its memory.

`evidence-review serve` runs in a process of its own; rows are decisions of as many cases. Writes the
export's part of docs/desk-speed.md.
"""

import argparse
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.bounded import peak_mb
from bench.desk_store import EXPORTS, PAGE, fill_decisions, new_databases, scored_samples
from bench.service import free_port, running
from bench.speed import machine
from models.case_file import CaseFile
from models.domain import Suggestion
from serving.house import build_house
from serving.logs import configure_logs
from serving.records import Role
from serving.settings import Settings

_SERVE = "import os, sys, serving.cli; open(sys.argv.pop(1), 'w').write(str(os.getpid())); serving.cli.app()"


@dataclass(frozen=True)
class Stream:
    """One export. cpu_s : of the server; before_mb, peak_mb : its resident memory before, and at most during it"""

    n_rows: int
    megabytes: float
    first_byte_s: float
    whole_s: float
    cpu_s: float
    before_mb: float
    peak_mb: float


def streams(
    url: str, folder: Path, samples: list[tuple[CaseFile, Suggestion]], *, sizes: tuple[int, ...]
) -> Iterator[Stream]:
    """Yield an export of each of the growing `sizes`, from one server; one unmeasured export goes before."""
    house = build_house(Settings(database_url=url, photo_dir=folder / "photos"))
    auditor = house.gatekeeper.add_user("auditor", role=Role.AUDITOR, by="system:bench")
    token = house.gatekeeper.make_token(auditor, label="bench", by="system:bench")
    decider = house.gatekeeper.add_user("decider", role=Role.ARBITRATOR, by="system:bench")
    fill_decisions(house, samples, by=decider, first=1, n_rows=sizes[0])
    port, pid_file = free_port(), folder / "server.pid"
    address = f"http://127.0.0.1:{port}"
    environment = {
        "EVIDENCE_REVIEW_DATABASE_URL": url,
        "EVIDENCE_REVIEW_PHOTO_DIR": str(folder / "photos"),
        "EVIDENCE_REVIEW_REGISTRY_URI": "",
        "EVIDENCE_REVIEW_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-c", _SERVE, str(pid_file), "serve", "--port", str(port)]
    log = folder / "serve.log"
    with running(command, url=f"{address}/health/live", environment=environment, log=log):
        pid, n_stored = int(pid_file.read_text()), sizes[0]
        _export(address, token, pid)
        for n_rows in sizes:
            fill_decisions(house, samples, by=decider, first=n_stored + 1, n_rows=n_rows - n_stored)
            n_stored = n_rows
            yield _export(address, token, pid)
    house.store.close()


def _export(address: str, token: str, pid: int) -> Stream:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    before_mb, before_s, began = peak_mb(pid), _cpu_s(pid), time.perf_counter()
    asked = urllib.request.Request(  # noqa: S310  our own server
        f"{address}/api/v1/decisions/export?format=csv", headers={"Authorization": f"Bearer {token}"}
    )
    n_bytes = n_lines = 0
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        first = answer.read(1)
        first_byte_s = time.perf_counter() - began
        n_bytes += len(first)
        while part := answer.read(1 << 16):
            n_bytes += len(part)
            n_lines += part.count(b"\r\n")
    return Stream(
        n_rows=n_lines - 1,
        megabytes=n_bytes / 1e6,
        first_byte_s=first_byte_s,
        whole_s=time.perf_counter() - began,
        cpu_s=_cpu_s(pid) - before_s,
        before_mb=before_mb,
        peak_mb=peak_mb(pid),
    )


def _cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken, in it and in the kernel."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return sum(int(tick) for tick in ticks) / os.sysconf("SC_CLK_TCK")


def table(database: str, measured: list[Stream]) -> str:
    """Return rows of the table."""
    return "".join(
        f"| {database} | {one.n_rows:,} | {one.megabytes:.1f} | {1000 * one.first_byte_s:.0f} | {one.whole_s:.1f} | "
        f"{one.cpu_s:.1f} | {one.before_mb:.0f} | {one.peak_mb:.0f} |\n"
        for one in measured
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=(20_000, 100_000), help="growing numbers of rows")
    arguments = parser.parse_args()
    configure_logs("error")
    told, samples, rows = machine(), scored_samples(), ""
    with new_databases() as databases, tempfile.TemporaryDirectory() as folder:
        for database, url in databases.items():
            rows += table(database, list(streams(url, Path(folder), samples, sizes=tuple(arguments.rows))))
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(EXPORTS)
    text = _PART.format(**told, load_at_end=os.getloadavg()[0], rows=rows)
    PAGE.write_text(before.rstrip() + "\n\n" + EXPORTS + text, encoding="utf-8")


_PART = """
Written on {measured_at}. Machine: {cpu}, {cores} cores, load average {load_at_start:.1f} at the start and
{load_at_end:.1f} at the end.
`GET /api/v1/decisions/export?format=csv` from a running `evidence-review serve` over the loopback, to one client that
reads as fast as it can. Memory is the server's resident one, before each export and at most during it; one export goes
before, so that what is loaded once is not counted. It must not grow with the rows. CPU time is the server's, without
the database server's; wall times are those of a machine with other work where the load average is over the cores.

| database | rows | MB sent | first byte ms | whole s | CPU s | MB before | MB at most |
|---|---:|---:|---:|---:|---:|---:|---:|
{rows}"""


if __name__ == "__main__":
    main()
