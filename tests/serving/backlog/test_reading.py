"""Rows of a backlog: every readable one, the others by place and reason, from any place on."""

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fsspec.core import url_to_fs
from pyarrow import parquet

from models.domain import parse_case
from serving.backlog.reading import PAUSE_S, Entry, Place, read_entries
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import Source, find_sources
from tests.serving.backlog.backlogs import case_content, write_lines, write_parquet


def _entries(backlog: Path, *, start: Place | None = None, max_line_bytes: int = 8_000_000) -> list[Entry]:
    sources = find_sources(str(backlog), out=backlog.parent / "out")
    return list(read_entries(sources, start=start, max_line_bytes=max_line_bytes))


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


def _write_groups(path: Path) -> list[range]:
    """Write 300 rows in groups of 100, each with pages of few rows; return where each group's bytes lie."""
    rows = [{"case_id": f"case-{n}"} for n in range(300)]
    parquet.write_table(
        pa.Table.from_pylist(rows),
        path,
        row_group_size=100,
        use_dictionary=False,
        data_page_size=64,
        write_batch_size=8,
    )
    with parquet.ParquetFile(path) as file:
        chunks = [file.metadata.row_group(group).column(0) for group in range(3)]
    return [range(chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size) for chunk in chunks]


def _lines(entries: list[Entry]) -> list[int]:
    return [entry.line for entry in entries]


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}\n{"c":3}')
    assert [(entry.line, (entry.data or b"").strip()) for entry in _entries(path)] == [
        (1, b'{"a":1}'),
        (4, b'{"b":2}'),
        (5, b'{"c":3}'),
    ]


def test_a_line_too_long_is_refused_without_being_held_and_the_next_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{}", "x" * 3_000_000, "{}", "y" * 200])
    found = [(entry.line, entry.problem) for entry in _entries(path, max_line_bytes=100)]
    assert found == [(1, None), (2, "is longer than 100 bytes"), (3, None), (4, "is longer than 100 bytes")]


def test_reading_goes_on_from_any_place(tmp_path: Path) -> None:
    write_lines(tmp_path / "in" / "a.jsonl", ["{}", "", "z" * 999, "[]"])
    rows = [{"case_id": f"c{n}"} for n in range(150)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / "b.parquet", row_group_size=70)
    write_lines(tmp_path / "in" / "c.ndjson", ["{}"])
    whole = _entries(tmp_path / "in", max_line_bytes=500)
    assert len(whole) == 3 + 150 + 1
    for number, entry in enumerate(whole, start=1):
        assert _entries(tmp_path / "in", start=entry.after, max_line_bytes=500) == whole[number:]


def test_a_null_in_parquet_is_an_absent_key_and_times_keep_their_zone(tmp_path: Path) -> None:
    contents = [case_content(0), case_content(1)]
    for content in contents:
        content["opened_at"] = datetime.fromisoformat(content["opened_at"])
    contents[0]["listing"]["attributes"] = {"color": "白色"}
    contents[1]["listing"]["attributes"] = {"size": "XL"}
    write_parquet(tmp_path / "a.parquet", contents)
    cases = [parse_case(entry.data or b"") for entry in _entries(tmp_path / "a.parquet")]
    assert [case.listing.attributes for case in cases] == [{"color": "白色"}, {"size": "XL"}]
    assert cases[0].opened_at == contents[0]["opened_at"].astimezone(UTC)


def test_a_truncated_parquet_alone_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, [case_content(0)])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: not readable as Parquet, maybe truncated"):
        _entries(path)


def test_beside_readable_files_a_truncated_parquet_is_one_refused_row(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.parquet"
    write_lines(tmp_path / "in" / "b.jsonl", ["{}"])
    write_parquet(path, [case_content(0)])
    path.write_bytes(path.read_bytes()[:-50])
    broken, other = _entries(tmp_path / "in")
    assert broken.source == "a.parquet"
    assert (broken.problem or "").startswith("not readable as Parquet")
    assert (other.source, other.problem) == ("b.jsonl", None)


def test_damage_inside_parquet_costs_only_its_group_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"case_id": f"case-{n}" * 20} for n in range(30)]
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=10, use_dictionary=False)
    with parquet.ParquetFile(path) as file:
        start = file.metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    found = _entries(path)
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
    whole = _entries(path)
    assert [(entry.line, entry.after) for entry in whole] == [(n, Place(0, n)) for n in range(1, 2 * N_GOOD + 2)]
    (bad,) = (entry for entry in whole if entry.problem is not None)
    assert (bad.line, bad.data) == (N_GOOD + 1, None)
    assert (bad.problem or "").startswith("can't be read as JSON: ")
    assert len(bad.problem or "") <= 300
    assert all(f'"c{entry.line - 1}"'.encode() in (entry.data or b"") for entry in whole if entry is not bad)
    for n in (1, 63, 64, 65, N_GOOD, N_GOOD + 1, 100, 128, 2 * N_GOOD + 1):
        assert _entries(path, start=Place(0, n)) == whole[n:]


def test_damage_behind_the_first_pages_of_a_group_costs_only_the_rows_from_there_on(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _, damaged, _ = _write_groups(path)
    data = bytearray(path.read_bytes())
    data[damaged.stop - 60 : damaged.stop] = b"\xff" * 60
    path.write_bytes(data)
    found = _entries(path)
    (broken,) = (entry for entry in found if entry.problem is not None)
    assert 101 < broken.line <= 200
    assert (broken.after, broken.n_rows) == (Place(0, 200), 201 - broken.line)
    assert _lines(found) == [*range(1, broken.line + 1), *range(201, 301)]


def test_damage_before_the_place_where_reading_goes_on_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _, damaged, _ = _write_groups(path)
    data = bytearray(path.read_bytes())
    data[damaged.start : damaged.start + 60] = b"\xff" * 60
    path.write_bytes(data)
    broken, *rest = _entries(path, start=Place(0, 150))
    assert (broken.line, broken.after) == (151, Place(0, 200))
    assert (broken.problem or "").startswith("rows 151 to 200 are not readable as Parquet")
    assert _lines(rest) == [*range(201, 301)]


def test_an_offset_of_a_group_that_is_damaged_costs_only_that_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _, damaged, last = _write_groups(path)
    data = path.read_bytes()
    there, before_the_file = _varint(2 * damaged.start), _varint(2 * damaged.start - 1)
    path.write_bytes(data[: last.stop] + data[last.stop :].replace(there, before_the_file))
    with parquet.ParquetFile(path) as file:
        assert file.metadata.row_group(1).column(0).data_page_offset < 0
    found = _entries(path)
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    path = tmp_path / "a.parquet"
    _, group, _ = _write_groups(path)
    whole = _entries(path)
    outages = [TimeoutError("no answer")]

    def answer(start: int, n_bytes: int) -> None:
        if start >= group.start and outages:
            raise outages.pop()

    _answer_with(monkeypatch, answer)
    assert _entries(path) == whole
    assert (outages, pauses) == ([], [])


def test_bytes_that_once_arrive_damaged_cost_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    path = tmp_path / "a.parquet"
    _, group, _ = _write_groups(path)
    whole = _entries(path)
    data = path.read_bytes()
    damaged = [data[group.start : group.stop - 60] + b"\xff" * 60]

    def answer(start: int, n_bytes: int) -> bytes | None:
        return damaged.pop() if (start, n_bytes) == (group.start, len(group)) and damaged else None

    _answer_with(monkeypatch, answer)
    assert _entries(path) == whole
    assert (damaged, pauses) == ([], [])


def test_a_place_that_stops_answering_refuses_no_row_and_reading_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    path = tmp_path / "a.parquet"
    _, group, _ = _write_groups(path)
    whole = _entries(path)

    def answer(start: int, n_bytes: int) -> None:
        if start >= group.start:
            raise TimeoutError("no answer")

    found: list[Entry] = []
    with monkeypatch.context() as outage:
        _answer_with(outage, answer)
        with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: no answer"):
            _read_into(found, path)
    assert found == whole[:100]
    assert pauses == [PAUSE_S, 2 * PAUSE_S]
    assert _entries(path, start=found[-1].after) == whole[100:]


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


def test_a_parquet_cut_short_after_it_was_found_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _write_groups(path)
    sources = find_sources(str(path), out=tmp_path / "out")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: no longer readable as Parquet"):
        list(read_entries(sources))


def test_folders_and_globs_are_read_by_name_and_never_the_output(tmp_path: Path) -> None:
    for name in ("b.jsonl", "sub/a.jsonl", ".hidden.jsonl", "_meta.parquet", "notes.txt", "out/triage.parquet"):
        write_lines(tmp_path / name, ["{}"])
    assert [s.name for s in find_sources(str(tmp_path), out=tmp_path / "out")] == ["b.jsonl", "sub/a.jsonl"]
    found = find_sources(str(tmp_path / "**" / "*.jsonl"), out=tmp_path / "out")
    assert [source.name for source in found] == ["b.jsonl", "sub/a.jsonl"]
    with pytest.raises(BacklogUnreadableError, match="neither"):
        find_sources(str(tmp_path / "notes.txt"), out=tmp_path / "out")
    with pytest.raises(BacklogUnreadableError, match=r"no \.jsonl"):
        find_sources(str(tmp_path / "nowhere"), out=tmp_path / "out")


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{}", "{}"])
    sources = find_sources(str(path), out=tmp_path / "out")
    write_lines(path, ["{}", "{}", "{}"])
    with pytest.raises(BacklogUnreadableError, match="was changed while it was read"):
        list(read_entries(sources))


def test_a_bad_line_amid_100_000_is_one_entry_and_the_others_stand(tmp_path: Path) -> None:
    lines = ['{"case_id":"c"}\n'] * 100_000
    lines[49_999] = "x" * 200 + "\n"
    path = tmp_path / "a.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    bad = [entry.line for entry in _entries(path, max_line_bytes=100) if entry.problem]
    assert bad == [50_000]


@pytest.mark.parametrize("what", ["", "/a.jsonl", "/*.jsonl"], ids=["folder", "file", "glob"])
def test_urls_that_fsspec_knows_are_read_like_paths(tmp_path: Path, what: str) -> None:
    files, root = url_to_fs(f"memory://{tmp_path.name}")
    files.pipe(f"{root}/a.jsonl", b'{"case_id":"c1"}\n{"case_id":"c2"}\n')
    files.pipe(f"{root}/notes.txt", b"no backlog")
    sources = find_sources(f"memory://{tmp_path.name}{what}", out=tmp_path / "out")
    assert [entry.data for entry in read_entries(sources)] == [b'{"case_id":"c1"}\n', b'{"case_id":"c2"}\n']
    assert sources[0].name == "a.jsonl"
    assert sources[0].photos_dir == f"memory://{root}"
    table = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist([{"case_id": "c3"}]), table)
    files.pipe(f"{root}/b.parquet", table.getvalue().to_pybytes())
    found = read_entries(find_sources(f"memory://{tmp_path.name}/b.parquet", out=tmp_path / "out"))
    assert [entry.data for entry in found] == [b'{"case_id": "c3"}']


def test_a_url_that_nothing_here_can_open_is_a_clear_error(tmp_path: Path) -> None:
    for url in ("nosuch://x/a.jsonl", "memory://nowhere/a.jsonl"):
        with pytest.raises(BacklogUnreadableError, match=url):
            find_sources(url, out=tmp_path / "out")
