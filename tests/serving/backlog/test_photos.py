"""A case's photos: from the operator's folder only; a place that doesn't answer is no absent photo."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from serving.backlog import photos
from serving.backlog.chunk import Chunk, Refused, score_chunk
from serving.backlog.photos import PhotoUnreachableError, read_photos, read_stored_photos
from serving.backlog.reading import Entry, Place
from serving.photo_store import PhotoStore
from tests.builders import build_case, hours
from tests.serving.backlog.backlogs import case_content
from tests.suggesters import build_suggester


@dataclass
class _WebServer:
    """Serves a folder. asked : the paths of all requests; status : answered to all where it isn't 0"""

    url: str
    asked: list[str] = field(default_factory=list)
    status: int = 0
    tells_length: bool = True


@pytest.fixture
def web(tmp_path: Path) -> Iterator[_WebServer]:
    class Handler(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            running.asked.append(self.path)
            if running.status:
                self.send_error(running.status)
                return None
            return super().send_head()

        def send_header(self, keyword: str, value: str) -> None:
            if running.tells_length or keyword != "Content-Length":
                super().send_header(keyword, value)

        def copyfile(self, source: Any, outputfile: BinaryIO) -> None:
            while piece := source.read(40_000):
                outputfile.write(piece)
                outputfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path))
    running = _WebServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    server.shutdown()
    server.server_close()


def _photo(name: str, path: str | None) -> dict[str, Any]:
    return {"photo_id": name, "role": "received", "filed_by": "buyer", "path": path}


def test_photos_are_read_from_a_url_by_relative_path_and_by_url_inside_it_only(tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}/photos"
    files = MemoryFileSystem()
    for name in ("photos/a.jpg", "photos/sub/b.jpg", "elsewhere.jpg"):
        files.pipe(f"/{tmp_path.name}/{name}", name.encode())
    (tmp_path / "local.jpg").write_bytes(b"local")
    case = build_case(
        photos=[
            _photo("p1", "a.jpg"),
            _photo("p2", f"{root}/sub/b.jpg"),
            _photo("p3", f"memory://{tmp_path.name}/elsewhere.jpg"),
            _photo("p4", f"file://{tmp_path}/local.jpg"),
            _photo("p5", "http://127.0.0.1:1/a.jpg"),
            _photo("p6", "gone.jpg"),
        ]
    )
    assert read_photos(case, root) == {"p1": b"photos/a.jpg", "p2": b"photos/sub/b.jpg"}
    assert read_photos(case, root, max_photo_bytes=12) == {"p1": b"photos/a.jpg"}
    assert read_photos(case, tmp_path) == {"p4": b"local"}


def test_a_place_that_does_not_answer_refuses_the_case_instead_of_scoring_it_without_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(self: object, path: str, mode: str = "rb", **options: object) -> object:
        calls.append(path)
        raise TimeoutError("no answer")

    monkeypatch.setattr(photos, "_PAUSE_S", 0)
    monkeypatch.setattr(MemoryFileSystem, "open", broken)
    content = case_content(1, photos=[_photo("p1", "a.jpg")])
    root = f"memory://{tmp_path.name}"
    with pytest.raises(PhotoUnreachableError, match=r"photo p1 can't be fetched: TimeoutError: no answer"):
        read_photos(build_case(**{**content, "order": content["order"]}), root)
    assert len(calls) == 3
    text = build_case(case_id="TB-9", photos=[_photo("p1", "a.jpg")]).model_dump_json().encode()
    chunk = Chunk((Entry("a.jsonl", 1, Place(0, 1), root, text),), hours(300))
    (refused,) = score_chunk(chunk, build_suggester())
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.case_id) == ("scoring", "TB-9")
    assert "photo p1 can't be fetched" in refused.reason


def test_stored_photos_that_were_altered_are_absent(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    digests = {"p1": store.put(b"one"), "p2": store.put(b"two")}
    altered = digests["p2"].removeprefix("sha256:")
    (tmp_path / altered[:2] / altered[2:4] / altered).write_bytes(b"owt")
    assert read_stored_photos({**digests, "p3": "sha256:" + "0" * 64}, tmp_path) == {"p1": b"one"}


OUTWARD = [
    "%2e%2e/secret.jpg",
    ".%2E/secret.jpg",
    "..%2fsecret.jpg",
    "%252e%252e/secret.jpg",
    "%25252e%25252e%25252fsecret.jpg",
    "%2e%2e\\secret.jpg",
    "sub%5c..%5c..%5csecret.jpg",
    ".\t./secret.jpg",
    ".%0a./secret.jpg",
    "..;v=1/secret.jpg",
    "..?secret.jpg",
    "..#secret.jpg",
    "a.jpg%00.png",
]


@pytest.mark.parametrize("path", OUTWARD)
def test_a_path_that_a_server_would_decode_to_one_out_of_the_folder_is_never_asked_for(
    web: _WebServer, tmp_path: Path, path: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "photos" / "a.jpg").write_bytes(b"a")
    folder = f"{web.url}/photos"
    case = build_case(photos=[_photo("p1", path), _photo("p2", f"{folder}/{path}"), _photo("p3", "a.jpg")])
    assert read_photos(case, folder) == {"p3": b"a"}
    assert set(web.asked) == {"/photos/a.jpg"}


def test_a_path_that_leads_out_only_once_decoded_is_absent_on_this_machine_too(tmp_path: Path) -> None:
    (tmp_path / "%2e%2e").mkdir()
    (tmp_path / "%2e%2e" / "a.jpg").write_bytes(b"a")
    assert read_photos(build_case(photos=[_photo("p1", "%2e%2e/a.jpg")]), tmp_path) == {}


def test_names_with_per_cent_signs_dots_and_queries_are_read(web: _WebServer, tmp_path: Path) -> None:
    (tmp_path / "破损 ..50%.jpg").write_bytes(b"a")
    for folder in (tmp_path, web.url):
        assert read_photos(build_case(photos=[_photo("p1", "破损 ..50%.jpg")]), folder) == {"p1": b"a"}
    (tmp_path / "b.jpg").write_bytes(b"b")
    for path in ("b.jpg?size=../large", "./b.jpg", "%62.jpg"):
        assert read_photos(build_case(photos=[_photo("p1", path)]), web.url) == {"p1": b"b"}


def test_a_photo_is_read_whole_from_a_server_that_tells_no_length(web: _WebServer, tmp_path: Path) -> None:
    photo = bytes(range(256)) * 1_000
    (tmp_path / "a.jpg").write_bytes(photo)
    web.tells_length = False
    case = build_case(photos=[_photo("p1", "a.jpg")])
    assert read_photos(case, web.url) == {"p1": photo}
    assert read_photos(case, web.url, max_photo_bytes=len(photo) - 1) == {}


@pytest.mark.parametrize(("status", "is_absent"), [(404, True), (403, True), (429, False), (503, False)])
def test_a_web_server_that_fails_is_no_absent_photo(
    web: _WebServer, monkeypatch: pytest.MonkeyPatch, status: int, is_absent: bool
) -> None:
    monkeypatch.setattr(photos, "_PAUSE_S", 0)
    case = build_case(photos=[_photo("p1", "a.jpg")])
    web.status = status
    if is_absent:
        assert read_photos(case, web.url) == {}
    else:
        with pytest.raises(PhotoUnreachableError, match=r"photo p1 can't be fetched"):
            read_photos(case, web.url)


def test_a_web_server_that_is_not_there_is_no_absent_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_PAUSE_S", 0)
    with pytest.raises(PhotoUnreachableError, match=r"photo p1 can't be fetched"):
        read_photos(build_case(photos=[_photo("p1", "a.jpg")]), "http://127.0.0.1:1/photos")


def test_photos_past_the_bound_on_those_of_one_case_are_absent(tmp_path: Path) -> None:
    names = {"p1": "1.jpg", "p2": "2.jpg", "p3": "3.jpg", "p4": "4.jpg", "p5": "5.jpg"}
    contents = {"p1": b"1" * 40, "p2": b"2" * 30, "p3": b"3" * 40, "p4": b"4" * 30, "p5": b"5"}
    files = MemoryFileSystem()
    for photo_id, name in names.items():
        (tmp_path / name).write_bytes(contents[photo_id])
        files.pipe(f"/{tmp_path.name}/{name}", contents[photo_id])
    case = build_case(photos=[_photo(photo_id, name) for photo_id, name in names.items()])
    store = PhotoStore(tmp_path / "store")
    digests = {photo_id: store.put(content) for photo_id, content in contents.items()}
    kept = {photo_id: contents[photo_id] for photo_id in ("p1", "p2", "p4")}
    assert read_photos(case, tmp_path, max_case_bytes=100) == kept
    assert read_photos(case, f"memory://{tmp_path.name}", max_case_bytes=100) == kept
    assert read_stored_photos(digests, tmp_path / "store", max_case_bytes=100) == kept
    assert read_photos(case, tmp_path) == read_stored_photos(digests, tmp_path / "store") == contents
    assert photos.MAX_CASE_PHOTO_BYTES == 400_000_000
