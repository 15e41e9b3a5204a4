"""A run: the rows of a backlog through an engine into parts, from wherever the last stop left it.

Parts are finished in the order of the backlog, so what is done is always a beginning of it, and the first of two rows
with one case is the same one however often the run was stopped. Knows nothing of terminals.
"""

import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pyarrow import parquet

from serving.backlog.chunk import Chunk, Refused, Result, Scored
from serving.backlog.manifest import RunManifest
from serving.backlog.reading import MAX_LINE_BYTES, Entry, Place, read_entries
from serving.backlog.refusals import RunChangedError
from serving.backlog.rounds import Engine
from serving.backlog.sources import Source, find_sources, records_of
from serving.backlog.summary import Summary, summarise
from serving.backlog.triage import triage_table
from serving.backlog.writing import REFUSED, SUMMARY, TRIAGE, OutputFolder, Part

CHUNK_CASES = 16
PART_CASES = 128

_CHUNK_BYTES = 8_000_000

# done rows, all rows (about: blank lines count), refused rows
OnProgress = Callable[[int, int, int], None]


def score_backlog(
    backlog: str,
    *,
    out: Path,
    engine: Engine,
    photos_dir: Path | str | None = None,
    fresh: bool = False,
    now: datetime | None = None,
    chunk_cases: int = CHUNK_CASES,
    part_cases: int = PART_CASES,
    max_line_bytes: int = MAX_LINE_BYTES,
    on_progress: OnProgress = lambda done, total, refused: None,
) -> Summary:
    """Score every row of `backlog` into `out`, going on where an earlier run of the same input stopped.

    backlog : a file, folder or glob, by path or URL; photos_dir : path or URL, by default each file's own folder
    fresh : discard what an earlier run left
    now : time of ruling of a run that begins; one that goes on keeps its own, as it keeps part_cases and max_line_bytes
    Raises BacklogError; what is finished stays finished.
    """
    started = time.perf_counter()
    named = _full_name(photos_dir) if photos_dir is not None else None
    sources = find_sources(backlog, out=out, photos_dir=named)
    folder = OutputFolder(out)
    with folder.held():
        manifest = None if fresh else folder.manifest()
        if manifest is not None:
            _refuse(out, manifest.input_changes(records_of(sources), photos_dir=named))
            _refuse(out, manifest.model_changes(engine.model_version, weight_range=engine.weight_range))
            folder.discard_derived()
        else:
            manifest = RunManifest(
                run_id=uuid.uuid4().hex,
                now=now or datetime.now(UTC),
                model_version=engine.model_version,
                weight_range=engine.weight_range,
                photos_dir=named,
                part_cases=part_cases,
                max_line_bytes=max_line_bytes,
                sources=records_of(sources),
            )
            folder.discard_derived()
            folder.begin(manifest)
        run = _Run(folder, manifest, sources, on_progress)
        run.go_on(engine, chunk_cases=chunk_cases, started=started)
        return run.finish()


class _Run:
    def __init__(
        self, folder: OutputFolder, manifest: RunManifest, sources: Sequence[Source], on_progress: OnProgress
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.sources = sources
        self.on_progress = on_progress
        self.n_parts = self.n_scored = self.n_refused = 0
        self.after = Place()
        self.first_places = _FirstPlaces()
        for part in folder.parts(manifest, whole=True):
            self._count(part)
            self.first_places.take_over(part, folder.part_path(part.number))
        folder.discard_all_but(self.n_parts)

    def go_on(self, engine: Engine, *, chunk_cases: int, started: float) -> None:
        """Score what is not yet in a part. started : on the performance counter, when this session began"""
        n_refused, done = self.n_refused, self.n_scored + self.n_refused
        total = sum(source.n_rows or 1 for source in self.sources)
        self.on_progress(done, total, n_refused)
        ahead = _Ahead(read_entries(self.sources, start=self.after, max_line_bytes=self.manifest.max_line_bytes))
        results: list[Result] = []
        engine.losses.clear()
        for scored in engine.score(ahead.chunks(self.manifest, chunk_cases=chunk_cases)):
            results += scored
            n_refused += (n_new := sum(result.n_rows for result in scored if isinstance(result, Refused)))
            done += n_new + sum(isinstance(result, Scored) for result in scored)
            self.on_progress(done, total, n_refused)
            if len(results) == self.manifest.part_cases:
                self._keep(results, ahead, losses=engine.losses, started=started)
                results, started = [], time.perf_counter()
        if results:
            self._keep(results, ahead, losses=engine.losses, started=started)

    def finish(self) -> Summary:
        """Write what is made from all parts, the summary last."""
        paths = [self.folder.part_path(number) for number in range(self.n_parts)]
        summary = summarise(self.manifest, self.folder.parts(self.manifest), paths)
        refused = (one for part in self.folder.parts(self.manifest) for one in part.refused)
        self.folder.write(REFUSED, map(_as_line, refused))
        self.folder.write_table(TRIAGE, triage_table(paths))
        self.folder.write(SUMMARY, [(summary.model_dump_json(indent=1) + "\n").encode()])
        return summary

    def _keep(self, results: Sequence[Result], ahead: "_Ahead", *, losses: list[str], started: float) -> None:
        scored, refused = self.first_places.sort_out(results)
        part = Part(
            run_id=self.manifest.run_id,
            number=self.n_parts,
            after=ahead.place_after(len(results)),
            n_scored=len(scored),
            refused=tuple(refused),
            seconds=round(time.perf_counter() - started, 3),
            losses=tuple(losses),
        )
        losses.clear()
        self.folder.write_part(part, scored)
        self._count(part)

    def _count(self, part: Part) -> None:
        self.n_parts += 1
        self.n_scored += part.n_scored
        self.n_refused += part.n_refused
        self.after = part.after


class _Ahead:
    """Entries on their way to the engine, cut into chunks, and the places where reading would go on after them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self._places: deque[Place] = deque()

    def chunks(self, manifest: RunManifest, *, chunk_cases: int) -> Iterator[Chunk]:
        """Yield chunks of at most `chunk_cases` entries and not many bytes; none reaches across the end of a part."""
        batch: list[Entry] = []
        n_bytes = 0
        for number, entry in enumerate(self._entries, start=1):
            self._places.append(entry.after)
            batch.append(entry)
            n_bytes += len(entry.data or b"")
            if len(batch) == chunk_cases or n_bytes > _CHUNK_BYTES or number % manifest.part_cases == 0:
                yield Chunk(tuple(batch), manifest.now)
                batch, n_bytes = [], 0
        if batch:
            yield Chunk(tuple(batch), manifest.now)

    def place_after(self, n_entries: int) -> Place:
        """Return where reading goes on after so many more entries, and forget them."""
        return [self._places.popleft() for _ in range(n_entries)][-1]


class _FirstPlaces:
    """Where each case of the backlog stood first: what a run's memory grows by."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[str, int]] = {}

    def sort_out(self, results: Iterable[Result]) -> tuple[list[Scored], list[Refused]]:
        """Return (scored, refused), where a case met a second time is refused."""
        scored, refused = [], []
        for result in results:
            if isinstance(result, Scored):
                platform, case_id = result.identity
                source, line = result.row["case"]["source"], result.row["case"]["line"]
            elif result.platform is not None and result.case_id is not None:
                platform, case_id, source, line = result.platform, result.case_id, result.source, result.line
            else:
                refused.append(result)
                continue
            first = self._take(platform, case_id, source, line)
            if first is not None:
                reason = f"the case already stands in {first[0]}, line {first[1]}"
                refused.append(Refused(source, line, case_id, platform, "duplicate", reason))
            elif isinstance(result, Scored):
                scored.append(result)
            else:
                refused.append(result)
        return scored, refused

    def take_over(self, part: Part, path: Path) -> None:
        """Take over what a finished part holds."""
        with parquet.ParquetFile(path) as file:
            rows = file.read(columns=["case_id", "case.platform", "case.source", "case.line"]).to_pylist()
        for row in rows:
            case = row["case"]
            self._take(case["platform"], row["case_id"], case["source"], case["line"])
        for refused in part.refused:
            if refused.kind == "scoring" and refused.platform is not None and refused.case_id is not None:
                self._take(refused.platform, refused.case_id, refused.source, refused.line)

    def _take(self, platform: str, case_id: str, source: str, line: int) -> tuple[str, int] | None:
        """Return where the case stood before, None if this is the first time."""
        key = hashlib.blake2b(f"{platform}/{case_id}".encode(), digest_size=16).digest()
        first = self._places.get(key)
        if first is None:
            self._places[key] = (source, line)
        return first


def _full_name(folder: Path | str) -> str:
    return str(folder) if "://" in str(folder) else str(Path(folder).resolve())


def _as_line(refused: Refused) -> bytes:
    return (json.dumps(asdict(refused), ensure_ascii=False) + "\n").encode()


def _refuse(out: Path, changes: list[str]) -> None:
    if changes:
        raise RunChangedError(out, changes)
