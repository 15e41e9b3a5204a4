"""The output folder of a run: every file in it appears whole or not at all.

A part is one Parquet file over a fixed number of rows of the backlog. It carries in its metadata what it covers and
which rows were refused, so that its one rename commits all of it: there is no second file that could disagree. Knows
nothing of scoring.
"""

import errno
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from pydantic import ValidationError

from serving.backlog.chunk import Refused, Scored
from serving.backlog.manifest import MANIFEST_NAME, RunManifest
from serving.backlog.reading import Place
from serving.backlog.refusals import BacklogError, OutputBusyError, OutputFullError, OutputUnwritableError
from serving.backlog.rows import SCHEMA
from serving.durable_file import write_whole
from serving.file_lock import locked

SUGGESTIONS = "suggestions"
SUMMARY, TRIAGE, REFUSED, HANDED_BACK = "summary.json", "triage.parquet", "refused.jsonl", "handed_back.json"
_DERIVED = (SUMMARY, TRIAGE, REFUSED, HANDED_BACK)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNFINISHED = ".new-"
_KEY = b"evidence-review"


@dataclass(frozen=True)
class Part:
    """What a finished part covers.

    after : where the next part begins; n_scored : rows in the file; seconds : wall time spent on it
    losses : what was said of workers that died meanwhile
    """

    run_id: str
    number: int
    after: Place
    n_scored: int
    refused: tuple[Refused, ...]
    seconds: float
    losses: tuple[str, ...] = ()

    @property
    def n_refused(self) -> int:
        return sum(refused.n_rows for refused in self.refused)


class OutputFolder:
    """directory : made on first use"""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other run out until left; a killed run lets go by itself. Raises OutputBusyError."""
        with ExitStack() as lock:
            with self._reported():
                (self.directory / SUGGESTIONS).mkdir(parents=True, exist_ok=True)
                handle = lock.enter_context(locked(self.directory / ".lock"))
            if handle is None:
                raise OutputBusyError(self.directory)
            yield

    def manifest(self) -> RunManifest | None:
        """Return the manifest of the run that is here, None if there is none. Raises BacklogError on a damaged one."""
        path = self.directory / MANIFEST_NAME
        try:
            return RunManifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            if next(self._part_files(), None) is not None:
                raise BacklogError(
                    f"{self.directory} holds parts but no {MANIFEST_NAME}; --fresh discards them"
                ) from None
            return None
        except (OSError, ValidationError) as error:
            raise BacklogError(f"{path} can't be read; --fresh begins anew: {error}") from error

    def begin(self, manifest: RunManifest) -> None:
        """Make this the run of the folder. Whatever an earlier one left no longer counts from here on."""
        self.write(MANIFEST_NAME, [(manifest.model_dump_json(indent=1) + "\n").encode()])

    def parts(self, manifest: RunManifest, *, whole: bool = False) -> Iterator[Part]:
        """Yield the run's parts from the first on, as far as none is lacking; nothing is changed.

        whole : read each to its end, so that one with a damaged page is lacking too
        """
        for number in itertools.count():
            part = self._read_part(number, whole=whole)
            if part is None or part.run_id != manifest.run_id:
                return
            yield part

    def discard_all_but(self, n_parts: int) -> None:
        """Remove the parts after the first `n_parts`, and what was never finished."""
        kept = {self.part_path(number) for number in range(n_parts)}
        with self._reported():
            for path in self._part_files():
                if path not in kept:
                    path.unlink()
            for folder in (self.directory, self.directory / SUGGESTIONS):
                for path in folder.glob(f"{_UNFINISHED}*"):
                    path.unlink()

    def discard_derived(self) -> None:
        """Remove what is made from all parts, so that its presence means that the run is complete."""
        with self._reported():
            for name in _DERIVED:
                (self.directory / name).unlink(missing_ok=True)

    def write_part(self, part: Part, scored: Sequence[Scored]) -> None:
        table = pa.Table.from_pylist([result.row for result in scored], schema=SCHEMA)
        metadata = {_KEY: json.dumps(asdict(part), ensure_ascii=False).encode()}
        self.write_table(f"{SUGGESTIONS}/{_part_name(part.number)}", table.replace_schema_metadata(metadata))

    def write_table(self, name: str, table: pa.Table) -> None:
        buffer = pa.BufferOutputStream()
        parquet.write_table(table, buffer, compression="zstd", write_page_checksum=True)
        self.write(name, [buffer.getvalue()])

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Put `blocks` into the file `name`; they are on the disk when this returns.

        Raises OutputFullError, OutputUnwritableError; then the file is as it was before.
        """
        with self._reported():
            write_whole(self.directory / name, blocks, draft=_UNFINISHED, mode=0o644)

    def part_path(self, number: int) -> Path:
        return self.directory / SUGGESTIONS / _part_name(number)

    def _part_files(self) -> Iterator[Path]:
        return (self.directory / SUGGESTIONS).glob("part-*.parquet")

    def _read_part(self, number: int, *, whole: bool) -> Part | None:
        try:
            with parquet.ParquetFile(self.part_path(number), page_checksum_verification=whole) as file:
                told = json.loads(file.schema_arrow.metadata[_KEY])
                n_rows = file.read().num_rows if whole else file.metadata.num_rows
                is_ours = file.schema_arrow.remove_metadata().equals(SCHEMA)
            part = Part(
                run_id=told["run_id"],
                number=told["number"],
                after=Place(**told["after"]),
                n_scored=told["n_scored"],
                refused=tuple(Refused(**refused) for refused in told["refused"]),
                seconds=told["seconds"],
                losses=tuple(told.get("losses", ())),
            )
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None
        return part if is_ours and (part.number, part.n_scored) == (number, n_rows) else None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise OutputFullError(self.directory) from error
            raise OutputUnwritableError(self.directory, error.strerror or str(error)) from error


def _part_name(number: int) -> str:
    return f"part-{number:06d}.parquet"
