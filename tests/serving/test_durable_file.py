"""A file is whole or as it was, and on the disk once written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.durable_file import write_synced, write_whole


def broken() -> Iterator[bytes]:
    yield b"half"
    raise RuntimeError("no more")


def test_a_file_is_replaced_whole_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    write_whole(path, [b"one", b"", b"two"], draft=".new-", mode=0o644)
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("operation", ["write", "fsync", "replace"])
def test_a_disk_that_fails_leaves_the_file_as_it_was_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    path.write_bytes(b"before")
    with monkeypatch.context() as full:
        full.setattr(os, operation, fail)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, [b"after"], draft=".new-")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"before", ["a"])


def test_blocks_that_break_off_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError):
        write_whole(path, broken(), draft=".new-")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"before", ["a"])


def test_what_is_written_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    write_synced(tmp_path / "a", b"one")
    write_whole(tmp_path / "b", [b"two"], draft=".new-")
    file, draft, folder = synced
    assert (file, Path(draft).name[:5], folder) == (str(tmp_path / "a"), ".new-", str(tmp_path))
