"""`python -m bench.speed`: every figure of docs/performance.md, measured in one run on this machine.

Comparisons are pairs that alternate within the run, in CPU time of one thread, so that other work on the machine
disturbs both sides alike. `--quick` takes fewer cases and minutes. Knows nothing of how the page looks.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench import backlog_runs, service
from bench.backlogs import ROOT, case_files, fresh_numbers
from bench.bounded import run_bounded
from bench.choices import cascade, int8_beside_float, windows
from bench.floor import cpu_s, stages
from bench.page import write_page
from models.encoders import default_cache_dir
from models.registry import load_suggester
from models.scorer import EvidenceScorer
from models.suggester import Suggester
from serving.backlog.run import CHUNK_CASES

Plan = dict[str, Any]
# Two of each kind of case, not counted: what happens once in a server's life is no latency.
_FIRST_REQUESTS = 8
_COLD = """
import time; began = time.perf_counter()
from models.registry import load_suggester
from models.encoders import default_cache_dir
from bench.backlogs import case_files
suggester = load_suggester(cache_dir=default_cache_dir()); loaded = time.perf_counter()
suggester.suggest(case_files(1, n_photos=0)); first = time.perf_counter()
suggester.suggest(case_files(1, n_photos=0, start=1)); second = time.perf_counter()
from bench.bounded import peak_mb
print(loaded - began, first - loaded, second - first, peak_mb())
"""
FULL = {
    "pairs": 8, "pair_cases": {"mixed": 2, "text": 16}, "mixed": [100, 1_000], "most_mixed": [3_000],
    "text": [1_000, 10_000], "most_text": [], "rows": 100_000,
    "engine_cases": 200, "engine_rounds": 5, "requests": {1: 50, 8: 200, 32: 400}, "stage_cases": CHUNK_CASES,
    "dialogues": 60,
}  # fmt: skip
HUGE = FULL | {"most_text": [100_000]}
QUICK = {
    "pairs": 3, "pair_cases": {"mixed": 1, "text": 2}, "mixed": [8, 24], "most_mixed": [],
    "text": [20, 80, 320], "most_text": [], "rows": 2_000,
    "engine_cases": 60, "engine_rounds": 2, "requests": {1: 20, 8: 60, 32: 100}, "stage_cases": 3, "dialogues": 20,
}  # fmt: skip


def main() -> None:
    """Measure, and after each step write the figures as JSON and the page with its plots."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--quick", action="store_true", help="fewer cases: about 5 minutes on a free machine")
    options.add_argument("--huge", action="store_true", help="100,000 text-only cases more: about 20 minutes more")
    options.add_argument("--without-ray", action="store_true")
    options.add_argument("--json", type=Path, default=ROOT / "reports" / "speed.json", help="where the figures go")
    options.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    options.add_argument("--only", nargs="*", choices=STEPS, help="measure these again and keep the other figures")
    given = options.parse_args()
    # Told to stop, it leaves no backlog of many gigabytes behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    form = "quick" if given.quick else "huge" if given.huge else "full"
    plan = {**FORMS[form], "with_ray": not given.without_ray, "numbers": fresh_numbers()}
    figures: dict[str, Any] = {}
    if given.only is not None:
        figures = json.loads(given.json.read_text(encoding="utf-8"))
    else:
        figures = {"machine": machine(), "form": form}
    for name in given.only if given.only is not None else STEPS:
        began = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures.setdefault("load", {})[name] = os.getloadavg()[0]
        figures[name] = STEPS[name](plan)
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if given.only is None:
            figures["machine"]["load_at_end"] = os.getloadavg()[0]
        else:
            figures.setdefault("measured_again", {})[name] = datetime.now(UTC).isoformat(timespec="minutes")
        # After each step: a run that is stopped keeps what it has.
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        write_page(figures, given.page)


def machine() -> dict[str, Any]:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    return {
        "cpu": names[0].split(":", 1)[1].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.split()[1]) / 1e6, 1),
        "vnni": "avx512_vnni" in flags or "avx_vnni" in flags,
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "load_at_start": os.getloadavg()[0],
        **model(),
    }


def cold_start(_plan: Plan) -> dict[str, float]:
    """Return seconds from process start to a loaded model, of the first suggestion and the second, and peak memory."""
    told = subprocess.run([sys.executable, "-c", _COLD], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, first, second, peak_mb = map(float, told.stdout.split()[-4:])
    return {"load_s": loaded, "first_suggestion_s": first, "second_suggestion_s": second, "peak_memory_mb": peak_mb}


def online(plan: Plan) -> dict[str, Any]:
    """Return latencies by number of clients: ours, and MLflow's server."""
    requests, start = plan["requests"], next(plan["numbers"])
    found: dict[str, Any] = {}
    for name, serving, client_counts in (
        ("evidence-review serve", service.review_service, (1, 8, 32)),
        ("mlflow models serve", service.mlflow_service, (1, 8, 32)),
    ):
        with backlog_runs.folder() as place, serving(place) as (ask, ready_s):
            for number in range(_FIRST_REQUESTS):
                ask(start + number)
            start += _FIRST_REQUESTS
            found[name] = {"ready_s": ready_s, "clients": {}}
            for n_clients in client_counts:
                n_requests = requests[n_clients]
                found[name]["clients"][str(n_clients)] = service.latencies(
                    ask, n_clients=n_clients, n_requests=n_requests, start=start
                )
                start += n_requests
    return found


def beside_naive(plan: Plan) -> dict[str, Any]:
    """Return, for mixed and text-only cases, CPU milliseconds a case of both ways and the ratio of each pair.

    The loop reads chats with the whole encoder as published; in each pair it also runs with the layers that we keep.
    """
    import torch

    from bench.naive import NaiveLoop

    torch.set_num_threads(1)
    suggester, start = _suggester(), next(plan["numbers"])
    naive = NaiveLoop(suggester, whole_encoder=True)
    same_encoder = NaiveLoop(suggester, whole_encoder=False)
    found = {}
    for kind, n_photos in (("mixed", 2), ("text", 0)):
        n_cases = plan["pair_cases"][kind]
        pairs, same_layers, again = [], [], []
        for _ in range(plan["pairs"] + 1):
            slow, fewer, fast, same = (case_files(n_cases, n_photos=n_photos, start=start) for _ in range(4))
            pairs.append(
                (cpu_s(partial(naive.suggest, slow)) / n_cases, cpu_s(partial(suggester.suggest, fast)) / n_cases)
            )
            same_layers.append(cpu_s(partial(same_encoder.suggest, fewer)) / n_cases)
            again.append(cpu_s(partial(suggester.suggest, same)) / n_cases)
            start += n_cases
        warm = pairs[1:]
        ratios = sorted(slow / fast for slow, fast in warm)
        found[kind] = {
            "n_pairs": len(warm),
            "n_cases": n_cases,
            "naive_ms": 1000 * statistics.median(slow for slow, _ in warm),
            "same_layers_ms": 1000 * statistics.median(same_layers[1:]),
            "ours_ms": 1000 * statistics.median(fast for _, fast in warm),
            "again_ms": 1000 * statistics.median(again[1:]),
            "ratio": statistics.median(ratios),
            "ratio_low": ratios[0],
            "ratio_high": ratios[-1],
            "ratio_same_layers": statistics.median(
                few / fast for few, (_, fast) in zip(same_layers[1:], warm, strict=True)
            ),
        }
    return found


def _sizes(plan: Plan, kind: str, *, n_photos: int) -> list[dict[str, float]]:
    return backlog_runs.by_size(plan[kind], n_photos=n_photos, start=next(plan["numbers"])) if plan[kind] else []


def model() -> dict[str, Any]:
    suggester = _suggester()
    if not isinstance(suggester.scorer, EvidenceScorer):
        raise TypeError("only the shipped scorer can be taken apart")
    return {
        "model_version": suggester.model_version,
        "window_tokens": suggester.scorer.chat.windows.max_window_tokens,
    }


@cache
def _suggester() -> Suggester:
    return load_suggester(cache_dir=default_cache_dir())


FORMS: dict[str, Plan] = {"quick": QUICK, "full": FULL, "huge": HUGE}
# What is aimed at comes first and what takes longest last.
STEPS: dict[str, Callable[[Plan], Any]] = {
    "cold_start": cold_start,
    "naive": beside_naive,
    "online": online,
    "engines": lambda plan: backlog_runs.by_engine(
        plan["engine_cases"],
        rounds=plan["engine_rounds"],
        n_photos=0,
        start=next(plan["numbers"]),
        with_ray=plan["with_ray"],
    ),
    "stages": lambda plan: stages(_suggester(), n_cases=plan["stage_cases"], start=next(plan["numbers"])),
    "int8": lambda plan: int8_beside_float(n_dialogues=plan["dialogues"]),
    "windows": lambda plan: windows(n_dialogues=plan["dialogues"]),
    "cascade": lambda _plan: cascade(),
    "rows": lambda plan: run_bounded(plan["rows"]),
    "text_sizes": lambda plan: _sizes(plan, "text", n_photos=0),
    "mixed_sizes": lambda plan: _sizes(plan, "mixed", n_photos=2),
    "most_mixed_sizes": lambda plan: _sizes(plan, "most_mixed", n_photos=2),
    "most_text_sizes": lambda plan: _sizes(plan, "most_text", n_photos=0),
}


if __name__ == "__main__":
    main()
