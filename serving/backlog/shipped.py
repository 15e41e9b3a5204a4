"""The load callable of the worker processes: the Suggester that the settings name.

A partial of a top-level function, so that it reaches a worker by name. Knows nothing of chunks.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.suggester import Suggester


def loader(model_dir: Path | None, *, cache_dir: Path | None) -> "Callable[[], Suggester]":
    """Return a picklable callable that loads the Suggester of `model_dir`, by default the shipped one.

    cache_dir : where prepared encoders are kept, by default where `models.encoders` keeps them
    """
    return partial(_load, model_dir, cache_dir)


def _load(model_dir: Path | None, cache_dir: Path | None) -> "Suggester":
    from models.encoders import default_cache_dir
    from models.registry import load_suggester

    return load_suggester(model_dir, cache_dir=cache_dir or default_cache_dir(), threads=1)
