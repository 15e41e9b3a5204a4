"""Whole backlog runs: sizes, one and two processes, pool and Ray, cold and warm caches, memory.

A run is timed once all workers have the model and have scored with it. Knows nothing of pages.
"""

import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.backlogs import write_backlog
from serving.backlog.pool import PoolEngine
from serving.backlog.ray_engine import RayEngine
from serving.backlog.rounds import Engine
from serving.backlog.run import CHUNK_CASES, score_backlog
from serving.backlog.shipped import loader

_POLL_S = 0.2


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def by_size(sizes: list[int], *, n_photos: int, start: int) -> list[dict[str, float]]:
    """Return cases a second, CPU and memory of the warm workers, one a core, by backlog size."""
    rows = []
    n_workers = len(os.sched_getaffinity(0))
    with PoolEngine(loader(None, cache_dir=None), processes=n_workers) as engine:
        _ = engine.model_version
        _warm_up(engine, n_photos=n_photos, start=start + 50_000)
        for n_cases in sizes:
            with _memory_watched(engine.worker_pids) as memory:
                wall_s, cpu_s = _run(engine, n_cases, n_photos=n_photos, start=start)
            start += n_cases
            rows.append(
                {
                    "n_cases": n_cases,
                    "n_workers": n_workers,
                    "cases_per_s": n_cases / wall_s,
                    "worker_cpu_ms_per_case": 1000 * cpu_s / n_cases,
                    "worker_memory_mb": max(memory, default=0.0) / n_workers,
                }
            )
    return rows


def by_engine(n_cases: int, *, rounds: int, n_photos: int, start: int, with_ray: bool) -> dict[str, dict[str, Any]]:
    """Return seconds to the first model, and cases a second of each round, of pools of one and two and of Ray.

    All are started first and take turns, so that other work on the machine disturbs each alike.
    """
    engines: dict[str, Engine] = {
        "pool, 1 process": PoolEngine(loader(None, cache_dir=None), processes=1),
        "pool, 2 processes": PoolEngine(loader(None, cache_dir=None), processes=2),
    }
    if with_ray:
        engines["Ray, 1 actor"] = RayEngine(loader(None, cache_dir=None), processes=1)
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as started:
        for name, engine in engines.items():
            started.enter_context(engine)
            began = time.perf_counter()
            _ = engine.model_version
            found[name] = {"ready_s": time.perf_counter() - began, "n_cases": n_cases, "cases_per_s": []}
            _warm_up(engine, n_photos=0, start=start)
            start += 1_000
        for _ in range(rounds):
            for name, engine in engines.items():
                wall_s, _ = _run(engine, n_cases, n_photos=n_photos, start=start)
                start += n_cases
                found[name]["cases_per_s"].append(n_cases / wall_s)
    return found


def _warm_up(engine: Engine, *, n_photos: int, start: int) -> None:
    """Let every worker load the model and score some chunks: the others load theirs while the first one scores."""
    for number in range(3):
        n_cases = 2 * CHUNK_CASES * engine.processes
        _run(engine, n_cases, n_photos=n_photos if number == 0 else 0, start=start + number * n_cases)


def _run(engine: Engine, n_cases: int, *, n_photos: int, start: int) -> tuple[float, float]:
    """Return (wall seconds, CPU seconds of the pool's workers) of one backlog, its files already written."""
    with folder() as place:
        backlog = write_backlog(place / "in", n_cases, n_photos=n_photos, start=start)
        pids = engine.worker_pids if isinstance(engine, PoolEngine) else []
        before = sum(map(_cpu_s, pids))
        began = time.perf_counter()
        summary = score_backlog(str(backlog), out=place / "out", engine=engine)
        wall_s = time.perf_counter() - began
        if summary.n_scored != n_cases:
            raise RuntimeError(f"{summary.n_scored} of {n_cases} cases were scored: {summary.refused_by_kind}")
        return wall_s, sum(map(_cpu_s, pids)) - before


def _cpu_s(pid: int) -> float:
    """Return user and system seconds of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _memory_watched(pids: list[int]) -> Iterator[list[float]]:
    """Yield a list that holds, after leaving, samples of the processes' resident megabytes together."""
    samples: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        for _ in itertools.count():
            samples.append(sum(map(_resident_mb, pids)))
            if ended.wait(_POLL_S):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0
