"""A lock has one holder, and none once its process is gone."""

import subprocess
import sys
import threading
from pathlib import Path

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
