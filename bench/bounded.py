"""`python -m bench.bounded`: does the memory of a run grow with its backlog?

Runs the whole of a backlog but the model: rows are read, parsed, put into parts, triaged and counted, while one real
suggestion stands in for every case, for 100,000 of them would take hours. The workers' own memory doesn't know how long
a backlog is: each holds one chunk. Knows nothing of speed.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.backlog_runs import folder
from bench.backlogs import case_content
from models.case_file import CaseFile
from models.domain import parse_case
from models.encoders import default_cache_dir
from models.int8 import weight_range
from models.registry import load_suggester
from serving.backlog.chunk import Chunk, Refused, Result, Scored, parse_entry
from serving.backlog.rounds import Engine, Round
from serving.backlog.rows import Row, to_row
from serving.backlog.run import score_backlog


class OneSuggestion(Engine):
    """Answers every case with one suggestion, under its own id."""

    def __init__(self, row: Row, *, model_version: str) -> None:
        super().__init__(processes=1)
        self.row = row
        self._is_ready(model_version, weight_range())

    def score(self, chunks: Iterable[Chunk]) -> Iterator[list[Result]]:
        for chunk in chunks:
            results: list[Result] = []
            for entry in chunk.entries:
                case = parse_entry(entry)
                if isinstance(case, Refused):
                    results.append(case)
                    continue
                of_case = {**self.row["case"], "line": entry.line, "source": entry.source}
                results.append(Scored({**self.row, "case_id": case.case_id, "case": of_case}))
            yield results

    def stop(self) -> None: ...

    def _fill_up(self, wanted: int) -> None: ...

    def _hand_out(self, this: Round) -> None: ...

    def _listen(self) -> None: ...


def main() -> None:
    """Print peak memory and seconds of a run of so many text-only cases."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--cases", type=int, default=100_000)
    told = run_bounded(options.parse_args().cases)
    print(
        f"{told['n_cases']:.0f} cases: {told['wall_s']:.0f} s, peak memory {told['peak_mb']:.0f} MB, "
        f"of which {told['before_mb']:.0f} MB before the run"
    )


def run_bounded(n_cases: int) -> dict[str, float]:
    """Return seconds and peak memory of a run of so many rows, and the memory before it, in a process of its own."""
    # Neither the model's memory nor the caller's is the run's.
    with multiprocessing.get_context("spawn").Pool(1) as aside:
        row, model_version = aside.apply(_one_row)
    with multiprocessing.get_context("spawn").Pool(1) as aside:
        return aside.apply(_run, (n_cases, row, model_version))


def _run(n_cases: int, row: Row, model_version: str) -> dict[str, float]:
    with folder() as place:
        backlog = _write(place, n_cases)
        before_mb, began = peak_mb(), time.perf_counter()
        summary = score_backlog(str(backlog), out=place / "out", engine=OneSuggestion(row, model_version=model_version))
        wall_s = time.perf_counter() - began
    return {"n_cases": summary.n_scored, "wall_s": wall_s, "peak_mb": peak_mb(), "before_mb": before_mb}


def _one_row() -> tuple[Row, str]:
    suggester = load_suggester(cache_dir=default_cache_dir())
    case = parse_case(case_content(0, n_photos=0))
    suggestion = suggester.suggest([CaseFile(case)])[0]
    now = suggestion.created_at
    return to_row(suggestion, case, now=now, source="cases.jsonl", line=1), suggester.model_version


def _write(place: Path, n_cases: int) -> Path:
    path = place / "cases.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(n_cases):
            file.write(json.dumps(case_content(number, n_photos=0), ensure_ascii=False) + "\n")
    return path


def peak_mb(pid: int | str = "self") -> float:
    """Return a process's peak memory; `getrusage` would give its parent's where that was larger."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1_000 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
