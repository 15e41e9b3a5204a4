"""The files of a backlog: from the web too, and never what a run or an import wrote about others."""

import itertools
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from models.domain import parse_case
from serving.backlog.manifest import MANIFEST_NAME
from serving.backlog.photos import read_photos
from serving.backlog.reading import read_entries
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import find_sources
from tests.serving.backlog.backlogs import case_content, write_lines, write_parquet


class _Handler(SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        if "forbidden" in self.path:
            self.send_error(403)
            return None
        return super().send_head()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Content-Length" or "streamed" not in self.path:
            super().send_header(keyword, value)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Return the URL of the test's folder. Ranges aren't known there, nor is the length of what is called streamed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _names(backlog: str, *, out: Path) -> list[str]:
    return [source.name for source in find_sources(backlog, out=out)]


@pytest.mark.parametrize("what", ["waiting/a.jsonl", "waiting/*.jsonl", "waiting/", "waiting"])
def test_a_backlog_on_the_web_is_read_with_the_photos_beside_it(web: str, tmp_path: Path, what: str) -> None:
    content = case_content(1, photos=[{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "p/1.jpg"}])
    write_lines(tmp_path / "waiting" / "a.jsonl", [content, content])
    (tmp_path / "waiting" / "p").mkdir()
    (tmp_path / "waiting" / "p" / "1.jpg").write_bytes(b"photo")
    sources = find_sources(f"{web}/{what}", out=tmp_path / "out")
    assert [(source.name, source.photos_dir) for source in sources] == [("a.jsonl", f"{web}/waiting")]
    entries = list(read_entries(sources))
    assert [entry.line for entry in entries] == [1, 2]
    for entry in entries:
        assert read_photos(parse_case(entry.data or b""), entry.photos_dir) == {"p1": b"photo"}


def test_parquet_on_the_web_is_read(web: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [case_content(0), case_content(1)])
    entries = read_entries(find_sources(f"{web}/a.parquet", out=tmp_path / "out"))
    assert [parse_case(entry.data or b"").case_id for entry in entries] == ["TB-0", "TB-1"]


def break_off(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Have the server send whole files so many times, then only half of each."""
    asked = itertools.count()

    def send(handler: _Handler, source: BinaryIO, out: BinaryIO) -> None:
        data = source.read()
        out.write(data if next(asked) < after else data[: len(data) // 2])

    monkeypatch.setattr(_Handler, "copyfile", send)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_server_that_breaks_off_refuses_no_row(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write = write_lines if name.endswith("jsonl") else write_parquet
    write(tmp_path / name, [case_content(0), case_content(1)])
    sources = find_sources(f"{web}/{name}", out=tmp_path / "out")
    with monkeypatch.context() as outage:
        break_off(outage, after=0)
        with pytest.raises(BacklogUnreadableError, match=f"{name}: ClientPayloadError"):
            list(read_entries(sources))
        with pytest.raises(BacklogUnreadableError, match=f"{name}: ClientPayloadError"):
            find_sources(f"{web}/{name}", out=tmp_path / "out")
    assert [entry.problem for entry in read_entries(sources)] == [None, None]


def test_a_server_that_breaks_off_at_the_footer_makes_no_parquet_unreadable(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "a.parquet", [case_content(0)])
    break_off(monkeypatch, after=1)
    with pytest.raises(BacklogUnreadableError, match=r"a\.parquet: ClientPayloadError"):
        find_sources(f"{web}/a.parquet", out=tmp_path / "out")


def test_lines_on_the_web_are_read_with_a_bound_also_where_no_length_is_told(web: str, tmp_path: Path) -> None:
    for name in ("a.jsonl", "streamed.jsonl"):
        write_lines(tmp_path / name, ["{}", "x" * 300_000, *["[]"] * 50_000])
        entries = list(read_entries(find_sources(f"{web}/{name}", out=tmp_path / "out"), max_line_bytes=100))
        assert len(entries) == 50_002
        assert [entry.line for entry in entries if entry.problem] == [2]


def test_what_a_web_server_refuses_or_cannot_give_is_a_clear_error(web: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "long.jsonl", ["x" * 1_000_000] * 11)
    for what in ("forbidden.jsonl", "long.jsonl", "gone.jsonl", "*.txt"):
        with pytest.raises(BacklogUnreadableError, match=re.escape(web)):
            find_sources(f"{web}/{what}", out=tmp_path / "out")
    with pytest.raises(BacklogUnreadableError, match=r"127\.0\.0\.1:1/a"):
        find_sources("http://127.0.0.1:1/a.jsonl", out=tmp_path / "out")


@pytest.mark.parametrize("what", ["", "*.jsonl", "\udcc4\udce3.jsonl"], ids=["folder", "glob", "file"])
def test_a_file_name_that_is_not_utf_8_is_a_clear_error(tmp_path: Path, what: str) -> None:
    write_lines(tmp_path / "a.jsonl", ["{}"])
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc4\xe3.jsonl")).write_bytes(b"{}")
    with pytest.raises(BacklogUnreadableError, match="not UTF-8; rename it") as caught:
        find_sources(str(tmp_path / what), out=tmp_path / "out")
    assert str(tmp_path) + r"/\xc4\xe3.jsonl" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_folder_above_the_backlog_may_have_any_name(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc4\xe3"))
    write_lines(folder / "a.jsonl", ["{}"])
    assert _names(str(folder), out=tmp_path / "out") == ["a.jsonl"]
    with pytest.raises(BacklogUnreadableError, match="not UTF-8; rename it"):
        find_sources(str(tmp_path), out=tmp_path / "out")


def test_a_report_of_refused_rows_is_read_only_when_it_is_named(tmp_path: Path) -> None:
    files = MemoryFileSystem()
    for name in ("cases.jsonl", "refused.jsonl", "sub/refused.jsonl"):
        write_lines(tmp_path / name, ["{}"])
        files.pipe(f"/{tmp_path.name}/{name}", b"{}")
    for root in (str(tmp_path), f"memory://{tmp_path.name}"):
        for what in ("", "/*.jsonl", "/**/*.jsonl"):
            assert _names(root + what, out=tmp_path / "out") == ["cases.jsonl"]
        assert _names(f"{root}/refused.jsonl", out=tmp_path / "out") == ["refused.jsonl"]
        with pytest.raises(BacklogUnreadableError, match=r"refused\.jsonl doesn't count"):
            find_sources(f"{root}/sub", out=tmp_path / "out")


def test_what_an_earlier_run_wrote_is_read_only_when_it_is_named(tmp_path: Path) -> None:
    files = MemoryFileSystem()
    run = (MANIFEST_NAME, "refused.jsonl", "triage.parquet", "waiting.snapshot", "suggestions/part-00000.parquet")
    for name in ("a.jsonl", "b/c.jsonl", "scored-by-hand/d.jsonl", *(f"scored/{name}" for name in run)):
        write_lines(tmp_path / name, ["{}"])
        files.pipe(f"/{tmp_path.name}/{name}", b"{}")
    for root in (str(tmp_path), f"memory://{tmp_path.name}"):
        assert _names(root, out=tmp_path / "out") == ["a.jsonl", "b/c.jsonl", "scored-by-hand/d.jsonl"]
        assert _names(f"{root}/**/*.jsonl", out=tmp_path / "out") == ["a.jsonl", "b/c.jsonl", "scored-by-hand/d.jsonl"]
        assert _names(f"{root}/scored/waiting.snapshot", out=tmp_path / "out") == ["waiting.snapshot"]
        for what in ("scored", "scored/suggestions", "scored/suggestions/*.parquet", "scored/*"):
            with pytest.raises(BacklogUnreadableError, match=rf"beside or below a {MANIFEST_NAME}"):
                find_sources(f"{root}/{what}", out=tmp_path / "out")
    (tmp_path / "latest").symlink_to(tmp_path / "scored" / "suggestions")
    with pytest.raises(BacklogUnreadableError, match=rf"beside or below a {MANIFEST_NAME}"):
        find_sources(str(tmp_path / "latest"), out=tmp_path / "out")


def test_what_an_earlier_run_wrote_is_not_read_from_the_web_either(web: str, tmp_path: Path) -> None:
    for name in ("in/a.jsonl", "in/refused.jsonl", "in/scored/run.json", "in/scored/suggestions/b.jsonl"):
        write_lines(tmp_path / name, ["{}"])
    assert _names(f"{web}/in/**/*.jsonl", out=tmp_path / "out") == ["a.jsonl"]
