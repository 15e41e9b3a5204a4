"""Rows of a Parquet file: damage costs no row but its own, an outage none."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from models.domain import parse_case
from serving.backlog.parquet_rows import PAUSE_S
from serving.backlog.reading import Entry, Place, read_entries
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import Source, find_sources
from tests.serving.backlog.backlogs import case_content, entries_of, write_parquet


class UnsteadyFile(io.FileIO):
    """A file whose place answers a read of `n_bytes` from byte `start` on as `answer(start, n_bytes)` does.

    `answer` returns other bytes than the file's, None for the file's, or raises OSError.
    """

    def __init__(self, path: str, answer: Callable[[int, int], bytes | None]) -> None:
        super().__init__(path)
        self._answer = answer

    def read(self, n_bytes: int | None = -1) -> bytes:
        start = self.tell()
        data = super().read(-1 if n_bytes is None else n_bytes) or b""
        given = self._answer(start, len(data))
        return data if given is None else given


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses made so far, in seconds: nothing sleeps."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def _answer_with(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int, int], bytes | None]) -> None:
    monkeypatch.setattr(Source, "open", lambda source: UnsteadyFile(source.location, answer))


@dataclass(frozen=True)
class Grouped:
    """A file of 300 rows in groups of 100, each with pages of few rows.

    groups : where the bytes of each lie; whole : its entries while nothing is wrong
    """

    path: Path
    groups: list[range]
    whole: list[Entry]


@pytest.fixture
def grouped(tmp_path: Path) -> Grouped:
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pa.Table.from_pylist([{"case_id": f"case-{n}"} for n in range(300)]),
        path,
        row_group_size=100,
        use_dictionary=False,
        data_page_size=64,
        write_batch_size=8,
    )
    with parquet.ParquetFile(path) as file:
        chunks = [file.metadata.row_group(group).column(0) for group in range(3)]
    groups = [range(chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size) for chunk in chunks]
    return Grouped(path, groups, entries_of(path))


def _damage(path: Path, place: slice) -> None:
    data = bytearray(path.read_bytes())
    data[place] = b"\xff" * len(data[place])
    path.write_bytes(data)


def _lines(entries: list[Entry]) -> list[int]:
    return [entry.line for entry in entries]


def test_a_null_in_parquet_is_an_absent_key_and_times_keep_their_zone(tmp_path: Path) -> None:
    contents = [case_content(0), case_content(1)]
    for content in contents:
        content["opened_at"] = datetime.fromisoformat(content["opened_at"])
    contents[0]["listing"]["attributes"] = {"color": "白色"}
    contents[1]["listing"]["attributes"] = {"size": "XL"}
    write_parquet(tmp_path / "a.parquet", contents)
    cases = [parse_case(entry.data or b"") for entry in entries_of(tmp_path / "a.parquet")]
    assert [case.listing.attributes for case in cases] == [{"color": "白色"}, {"size": "XL"}]
    assert cases[0].opened_at == contents[0]["opened_at"].astimezone(UTC)


def test_damage_inside_parquet_costs_only_its_group_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"case_id": f"case-{n}" * 20} for n in range(30)]
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=10, use_dictionary=False)
    with parquet.ParquetFile(path) as file:
        start = file.metadata.row_group(1).column(0).data_page_offset
    _damage(path, slice(start, start + 60))
    found = entries_of(path)
    assert [entry.line for entry in found if entry.problem is None] == [*range(1, 11), *range(21, 31)]
    (broken,) = (entry for entry in found if entry.problem is not None)
    assert (broken.problem or "").startswith("rows 11 to 20 are not readable as Parquet")
    assert broken.after == Place(0, 20)


def _text_of_bytes(values: list[bytes]) -> Any:
    whole = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.utf8(), len(whole), whole.buffers())


N_GOOD = 69
BAD_VALUES = {
    "a time past the year 9999": pa.array([0] * N_GOOD + [2**62] + [0] * N_GOOD, pa.timestamp("us")),
    "a zoned time past the year 9999": pa.array([0] * N_GOOD + [2**62] + [0] * N_GOOD, pa.timestamp("us", "UTC")),
    "a date past the year 9999": pa.array([0] * N_GOOD + [2**30] + [0] * N_GOOD, pa.int32()).cast(pa.date32()),
    "text that is not UTF-8": _text_of_bytes([b"a"] * N_GOOD + [b"a\xff"] + [b"a"] * N_GOOD),
    "a key twice in a map": pa.array(
        [[("a", "b")]] * N_GOOD + [[("k" * 999, "b"), ("k" * 999, "c")]] + [[("a", "b")]] * N_GOOD,
        pa.map_(pa.utf8(), pa.utf8()),
    ),
}


@pytest.mark.parametrize("what", BAD_VALUES)
def test_a_value_in_parquet_that_has_no_json_costs_only_its_own_row(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.parquet"
    rows = {"case_id": [f"c{n}" for n in range(2 * N_GOOD + 1)], "value": BAD_VALUES[what]}
    parquet.write_table(pa.table(rows), path, row_group_size=100)
    whole = entries_of(path)
    assert [(entry.line, entry.after) for entry in whole] == [(n, Place(0, n)) for n in range(1, 2 * N_GOOD + 2)]
    (bad,) = (entry for entry in whole if entry.problem is not None)
    assert (bad.line, bad.data) == (N_GOOD + 1, None)
    assert (bad.problem or "").startswith("can't be read as JSON: ")
    assert len(bad.problem or "") <= 300
    assert all(f'"c{entry.line - 1}"'.encode() in (entry.data or b"") for entry in whole if entry is not bad)
    for n in (1, 63, 64, 65, N_GOOD, N_GOOD + 1, 100, 128, 2 * N_GOOD + 1):
        assert entries_of(path, start=Place(0, n)) == whole[n:]


def test_damage_behind_the_first_pages_of_a_group_costs_only_the_rows_from_there_on(grouped: Grouped) -> None:
    stop = grouped.groups[1].stop
    _damage(grouped.path, slice(stop - 60, stop))
    found = entries_of(grouped.path)
    (broken,) = (entry for entry in found if entry.problem is not None)
    assert 101 < broken.line <= 200
    assert (broken.after, broken.n_rows) == (Place(0, 200), 201 - broken.line)
    assert _lines(found) == [*range(1, broken.line + 1), *range(201, 301)]


def test_damage_before_the_place_where_reading_goes_on_loses_no_row(grouped: Grouped) -> None:
    start = grouped.groups[1].start
    _damage(grouped.path, slice(start, start + 60))
    broken, *rest = entries_of(grouped.path, start=Place(0, 150))
    assert (broken.line, broken.after) == (151, Place(0, 200))
    assert (broken.problem or "").startswith("rows 151 to 200 are not readable as Parquet")
    assert _lines(rest) == [*range(201, 301)]


def test_an_offset_of_a_group_that_is_damaged_costs_only_that_group(grouped: Grouped) -> None:
    path, (_, damaged, last) = grouped.path, grouped.groups
    data = path.read_bytes()
    there, before_the_file = _varint(2 * damaged.start), _varint(2 * damaged.start - 1)
    path.write_bytes(data[: last.stop] + data[last.stop :].replace(there, before_the_file))
    with parquet.ParquetFile(path) as file:
        assert file.metadata.row_group(1).column(0).data_page_offset < 0
    found = entries_of(path)
    assert [(entry.line, entry.n_rows) for entry in found if entry.problem is not None] == [(101, 100)]
    assert _lines(found) == [*range(1, 102), *range(201, 301)]


def _varint(number: int) -> bytes:
    """Return a number as Thrift writes it, seven bits a byte, the lowest first."""
    data = bytearray()
    while number > 127:
        data.append(number % 128 + 128)
        number //= 128
    return bytes([*data, number])


def test_a_place_that_once_does_not_answer_costs_no_row(
    grouped: Grouped, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    outages = [TimeoutError("no answer")]

    def answer(start: int, n_bytes: int) -> None:
        if start >= grouped.groups[1].start and outages:
            raise outages.pop()

    _answer_with(monkeypatch, answer)
    assert entries_of(grouped.path) == grouped.whole
    assert (outages, pauses) == ([], [])


def test_bytes_that_once_arrive_damaged_cost_no_row(
    grouped: Grouped, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    group = grouped.groups[1]
    damaged = [grouped.path.read_bytes()[group.start : group.stop - 60] + b"\xff" * 60]

    def answer(start: int, n_bytes: int) -> bytes | None:
        return damaged.pop() if (start, n_bytes) == (group.start, len(group)) and damaged else None

    _answer_with(monkeypatch, answer)
    assert entries_of(grouped.path) == grouped.whole
    assert (damaged, pauses) == ([], [])


def test_a_place_that_stops_answering_refuses_no_row_and_reading_goes_on_later(
    grouped: Grouped, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:

    def answer(start: int, n_bytes: int) -> None:
        if start >= grouped.groups[1].start:
            raise TimeoutError("no answer")

    found: list[Entry] = []
    with monkeypatch.context() as outage:
        _answer_with(outage, answer)
        with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: no answer"):
            _read_into(found, grouped.path)
    assert found == grouped.whole[:100]
    assert pauses == [PAUSE_S, 2 * PAUSE_S]
    assert entries_of(grouped.path, start=found[-1].after) == grouped.whole[100:]


def _read_into(found: list[Entry], path: Path) -> None:
    for entry in read_entries(find_sources(str(path), out=path.parent / "out")):
        found.append(entry)


def test_a_place_that_answers_only_small_reads_refuses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """As when a group takes longer than a timeout: its bytes can be read in blocks, and it can't be decoded."""
    path = tmp_path / "a.parquet"
    words = "".join(map(str, range(300_000)))
    rows = [{"case_id": words[n:]} for n in range(2)]
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=1, use_dictionary=False, compression="none")

    def answer(start: int, n_bytes: int) -> None:
        if n_bytes > 1 << 20:
            raise TimeoutError("took too long")

    _answer_with(monkeypatch, answer)
    found: list[Entry] = []
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: took too long"):
        _read_into(found, path)
    assert (found, pauses) == ([], [])


def test_a_parquet_cut_short_after_it_was_found_is_a_clear_error(grouped: Grouped, tmp_path: Path) -> None:
    sources = find_sources(str(grouped.path), out=tmp_path / "out")
    grouped.path.write_bytes(grouped.path.read_bytes()[:-50])
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: no longer readable as Parquet"):
        list(read_entries(sources))
