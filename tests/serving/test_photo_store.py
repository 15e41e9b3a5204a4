"""Photo files appear whole or not at all, and are checked on reading."""

import os
from pathlib import Path

import pytest

from models.case_file import photo_digest
from serving.photo_store import PhotoStore
from serving.refusals import PhotoCorruptError, StorageError, StorageFullError


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_put_is_got_by_its_digest(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    digest = store.put(b"some bytes")
    assert digest == photo_digest(b"some bytes")
    assert store.get(digest) == b"some bytes"


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    assert store.put(b"x") == store.put(b"x")
    assert len(_files(tmp_path)) == 1


def test_altered_bytes_are_noticed_on_reading_and_healed_by_filing_again(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    digest = store.put(b"true bytes")
    _files(tmp_path)[0].write_bytes(b"fake bytes")
    with pytest.raises(PhotoCorruptError):
        store.get(digest)
    store.put(b"true bytes")
    assert store.get(digest) == b"true bytes"


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "", "sha256:" + "g" * 64, "sha256:" + "0" * 64])
def test_a_digest_that_names_no_photo_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(PhotoCorruptError):
        PhotoStore(tmp_path).get(digest)


def test_a_full_disk_is_named_and_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFullError):
            PhotoStore(tmp_path).put(b"data")
    assert _files(tmp_path) == []
    assert PhotoStore(tmp_path).put(b"data")


def test_a_folder_that_is_a_file_is_a_storage_problem(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("in the way")
    with pytest.raises(StorageError):
        PhotoStore(tmp_path / "photos").put(b"data")


def test_files_that_no_row_names_are_removed_and_the_others_stay(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    named, _ = store.put(b"named"), store.put(b"unnamed")
    assert store.remove_unnamed(lambda digests: digests - {named}) == 1
    assert store.get(named) == b"named"
    assert [path.name for path in _files(tmp_path)] == [named.removeprefix("sha256:")]


def test_a_photo_filed_while_it_is_removed_isnt_lost(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    digest = store.put(b"again")
    asked: list[set[str]] = []

    def unnamed(digests: set[str]) -> set[str]:
        asked.append(digests)
        return digests if len(asked) == 1 else set()

    assert store.remove_unnamed(unnamed) == 0
    assert store.get(digest) == b"again"


def test_a_photo_removed_between_its_file_and_its_row_is_written_again(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    digest = store.put(b"again")
    store.remove_unnamed(lambda digests: digests)
    store.make_sure(digest, b"again")
    assert store.get(digest) == b"again"


def test_a_removal_that_was_cut_off_is_finished_or_undone(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    kept, _ = store.put(b"kept"), store.put(b"gone")
    for path in _files(tmp_path):
        path.rename(path.with_name(f".erased-{path.name}"))
    assert store.remove_unnamed(lambda digests: digests - {kept}) == 1
    assert store.get(kept) == b"kept"
    assert [path.name for path in _files(tmp_path)] == [kept.removeprefix("sha256:")]
