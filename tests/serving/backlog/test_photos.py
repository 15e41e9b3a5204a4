"""A case's photos: from the operator's folder only; a place that doesn't answer is no absent photo."""

from pathlib import Path
from typing import Any

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
