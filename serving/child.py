"""Ending a command that runs in a process group of its own. Knows nothing of what it does."""

import os
import signal
import subprocess

STOP_S = 15.0


def stop(process: "subprocess.Popen[bytes]") -> None:
    """By Ctrl-C, which ends the workers too; by force where that doesn't help."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
