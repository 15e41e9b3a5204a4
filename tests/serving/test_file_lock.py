"""A lock has one holder, and none once its process is gone."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from serving.file_lock import awaited, is_locked, locked

HOLDS = """
import sys, time
from pathlib import Path
from serving.file_lock import locked
with locked(Path(sys.argv[1])) as handle:
    print(handle is not None, flush=True)
    time.sleep(60)
"""


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_locked(path)
    with locked(path) as first:
        assert first is not None
        assert is_locked(path)
        with locked(path) as second:
            assert second is None
        assert is_locked(path)
    assert not is_locked(path)
    with locked(path) as again:
        assert again is not None


def test_who_waits_for_a_lock_gets_it_once_it_is_free(tmp_path: Path) -> None:
    path, got = tmp_path / "folder" / ".lock", threading.Event()

    def wait() -> None:
        with awaited(path):
            got.set()

    waiting = threading.Thread(target=wait)
    with awaited(path):
        waiting.start()
        assert not got.wait(0.2)
    assert got.wait(10)
    waiting.join()


@pytest.mark.parametrize("lock", [locked, awaited])
def test_who_may_read_a_lock_that_another_user_made_can_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: Callable[[Path], AbstractContextManager[object]]
) -> None:
    path, opened = tmp_path / ".lock", os.open
    with lock(path):
        pass
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask

    def open_as_reader(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))
        return opened(name, flags, mode)

    monkeypatch.setattr(os, "open", open_as_reader)
    with lock(path):
        assert is_locked(path)
    with pytest.raises(PermissionError), lock(tmp_path / "no.lock"):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            assert is_locked(path)
        finally:
            process.kill()
    assert not is_locked(path)
