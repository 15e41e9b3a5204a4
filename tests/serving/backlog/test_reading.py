"""Rows of a backlog: every readable one, the others by place and reason, from any place on."""

from pathlib import Path

import pyarrow as pa
import pytest
from fsspec.core import url_to_fs
from pyarrow import parquet

from serving.backlog.reading import read_entries
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import find_sources
from tests.serving.backlog.backlogs import case_content, entries_of, write_lines, write_parquet


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}\n{"c":3}')
    assert [(entry.line, (entry.data or b"").strip()) for entry in entries_of(path)] == [
        (1, b'{"a":1}'),
        (4, b'{"b":2}'),
        (5, b'{"c":3}'),
    ]


def test_a_line_too_long_is_refused_without_being_held_and_the_next_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ["{}", "x" * 3_000_000, "{}", "y" * 200])
    found = [(entry.line, entry.problem) for entry in entries_of(path, max_line_bytes=100)]
    assert found == [(1, None), (2, "is longer than 100 bytes"), (3, None), (4, "is longer than 100 bytes")]


def test_reading_goes_on_from_any_place(tmp_path: Path) -> None:
    write_lines(tmp_path / "in" / "a.jsonl", ["{}", "", "z" * 999, "[]"])
    rows = [{"case_id": f"c{n}"} for n in range(150)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / "b.parquet", row_group_size=70)
    write_lines(tmp_path / "in" / "c.ndjson", ["{}"])
    whole = entries_of(tmp_path / "in", max_line_bytes=500)
    assert len(whole) == 3 + 150 + 1
    for number, entry in enumerate(whole, start=1):
        assert entries_of(tmp_path / "in", start=entry.after, max_line_bytes=500) == whole[number:]


def test_a_truncated_parquet_alone_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, [case_content(0)])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: not readable as Parquet, maybe truncated"):
        entries_of(path)


def test_beside_readable_files_a_truncated_parquet_is_one_refused_row(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.parquet"
    write_lines(tmp_path / "in" / "b.jsonl", ["{}"])
    write_parquet(path, [case_content(0)])
    path.write_bytes(path.read_bytes()[:-50])
    broken, other = entries_of(tmp_path / "in")
    assert broken.source == "a.parquet"
    assert (broken.problem or "").startswith("not readable as Parquet")
    assert (other.source, other.problem) == ("b.jsonl", None)


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
    bad = [entry.line for entry in entries_of(path, max_line_bytes=100) if entry.problem]
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
