"""Queues past one machine: how many workers keep waits and deadlines, simulated event by event.

Cases arrive as a Poisson stream that swells and ebbs over the day, take a service time of a given mean and spread, and
wait for one of so many workers. A part of a large stream stands for the whole: streams split by case behave alike, and
a larger one waits less at the same load. `python -m bench.queueing` prints the tables of docs/scale.md. Knows nothing
of databases or networks: it says what workers alone would do.
"""

import argparse
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0
_SIMULATED = 4e6
_TIMES_THE_MEAN_LOAD = (1.1, 1.4, 1.7, 2.0, 2.3)
Discipline = Literal["oldest first", "deadline first"]


@dataclass(frozen=True)
class Stream:
    """Cases in the order they arrive; every array has shape (n_cases,).

    arrives_s, service_s : seconds; due_s : the moment a suggestion must be there, seconds
    """

    arrives_s: NDArray[np.float64]
    service_s: NDArray[np.float64]
    due_s: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """waits_s : shape (n_cases,), from arrival to the start of service

    late : share of cases done after they are due; busy : share of the workers' time spent on cases
    """

    waits_s: NDArray[np.float64]
    late: float
    busy: float


def draw_stream(
    *,
    per_day: float,
    n_days: float,
    mean_service_s: float,
    spread: float = 0.5,
    peak: float = 2.0,
    due_after_s: Sequence[float] = (3_600.0,),
    seed: int = 0,
) -> Stream:
    """Return a stream whose rate is `peak` times the mean at its height and as much below it half a day later.

    per_day : mean cases a day; peak : in [1, 2]; spread : standard deviation of the service time over its mean
    due_after_s : allowed times, drawn evenly
    """
    rng = np.random.default_rng(seed)
    n_most = rng.poisson(per_day * peak * n_days)
    moments = np.sort(rng.uniform(0, n_days * DAY_S, n_most))
    rate = (1 + (peak - 1) * np.cos(2 * math.pi * (moments / DAY_S - 0.5))) / peak
    arrives_s = moments[rng.uniform(size=n_most) < rate]
    sigma = math.sqrt(math.log(1 + spread**2))
    service_s = mean_service_s * rng.lognormal(-(sigma**2) / 2, sigma, len(arrives_s))
    due_s = arrives_s + rng.choice(np.array(due_after_s), len(arrives_s))
    return Stream(arrives_s, service_s, due_s)


def run_queue(stream: Stream, *, n_workers: int, discipline: Discipline = "oldest first") -> Outcome:
    """Return what happens to every case; nobody is taken off a case once begun."""
    n_cases = len(stream.arrives_s)
    keys = stream.due_s if discipline == "deadline first" else stream.arrives_s
    free_at = [0.0] * n_workers
    waiting: list[tuple[float, int]] = []
    waits, done = np.zeros(n_cases), np.zeros(n_cases)
    upcoming = 0
    while upcoming < n_cases or waiting:
        now = free_at[0]
        if not waiting:
            now = max(now, float(stream.arrives_s[upcoming]))
        while upcoming < n_cases and stream.arrives_s[upcoming] <= now:
            heapq.heappush(waiting, (float(keys[upcoming]), upcoming))
            upcoming += 1
        _, case = heapq.heappop(waiting)
        waits[case] = now - stream.arrives_s[case]
        done[case] = now + stream.service_s[case]
        heapq.heapreplace(free_at, float(done[case]))
    whole_s = float(done.max(initial=0.0)) or 1.0
    late = float((done > stream.due_s).mean()) if n_cases else 0.0
    return Outcome(waits, late, float(stream.service_s.sum()) / (n_workers * whole_s))


def erlang_wait_s(*, per_s: float, mean_service_s: float, n_workers: int) -> float:
    """Return the mean wait of Poisson arrivals and exponential service: Erlang's C formula (1917)."""
    load = per_s * mean_service_s
    if load >= n_workers:
        return math.inf
    blocked = 1.0
    for n in range(1, n_workers + 1):
        blocked = load * blocked / (n + load * blocked)
    waits = blocked / (1 - load / n_workers * (1 - blocked))
    return waits * mean_service_s / (n_workers - load)


def workers_needed(n_cases: float, *, within_s: float, mean_service_s: float, usable: float) -> int:
    """Return the workers that score a backlog in time when `usable` of each one's time goes into scoring."""
    return math.ceil(n_cases * mean_service_s / (within_s * usable))


def main() -> None:
    """Print the tables of docs/scale.md."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--text-ms", type=float, required=True, help="measured CPU milliseconds of a text-only case")
    options.add_argument("--mixed-ms", type=float, required=True, help="measured CPU milliseconds of a mixed case")
    options.add_argument("--mixed-share", type=float, default=0.5, help="share of cases with photos")
    given = options.parse_args()
    mean_s = (given.mixed_share * given.mixed_ms + (1 - given.mixed_share) * given.text_ms) / 1_000
    print(f"Mean {1_000 * mean_s:.0f} ms of one core a case.\n")
    print("| load | cores if always busy | cores at 70 % |\n| --- | --- | --- |")
    for name, n_cases, within_s in (("1 million in 8 hours", 1e6, 8 * 3_600), ("100 million a day", 1e8, DAY_S)):
        ideal, usual = (
            workers_needed(n_cases, within_s=within_s, mean_service_s=mean_s, usable=usable) for usable in (1.0, 0.7)
        )
        print(f"| {name} | {ideal:,} | {usual:,} |")
    # A part of 100 million a day, from midnight to midnight: half are due in 5 minutes, half in 6 hours.
    stream = draw_stream(per_day=_SIMULATED, n_days=1, mean_service_s=mean_s, due_after_s=(300, 6 * 3_600))
    mean_load = _SIMULATED * mean_s / DAY_S
    print("\n| workers over the mean load | order | median wait, s | p99 wait, s | late | busy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for n_workers in sorted({math.ceil(times * mean_load) for times in _TIMES_THE_MEAN_LOAD}):
        for discipline in get_args(Discipline):
            found = run_queue(stream, n_workers=n_workers, discipline=discipline)
            median, p99 = np.quantile(found.waits_s, (0.5, 0.99))
            told = f"| {n_workers / mean_load:.2f} ({n_workers}) | {discipline} | {median:,.1f} | {p99:,.0f} |"
            print(f"{told} {100 * found.late:.1f} % | {100 * found.busy:.0f} % |")


if __name__ == "__main__":
    main()
