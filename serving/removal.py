"""Removing folders so that one cut off is finished later: a folder is first set aside, then emptied.

Knows nothing of what folders hold.
"""

import shutil
import time
from pathlib import Path

_GONE, _DRAFT = ".gone-", ".new-"
_ABANDONED_S = 3600.0


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it. Raises OSError."""
    gone = folder.with_name(_GONE + folder.name)
    folder.rename(gone)
    shutil.rmtree(gone)


def finish_removals(directory: Path) -> None:
    """Remove what a removal that was cut off left, and drafts nobody has touched for an hour. Raises OSError."""
    for path in directory.glob(f"{_GONE}*"):
        shutil.rmtree(path)
    for path in directory.glob(f"{_DRAFT}*"):
        if path.stat().st_mtime < time.time() - _ABANDONED_S:
            shutil.rmtree(path)
