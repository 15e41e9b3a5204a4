"""Trying a model before it is put to work, and which ones are tried no more. Knows nothing of registries."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ReviewError, TrialError
from serving.scoring import warm_up

if TYPE_CHECKING:
    from models.suggester import Suggester

_MOST_FAILURES = 3
"""In a row, of errors that may pass: libraries report a lack of memory or threads like weights of another shape."""


def tried(load: "Callable[[Path], Suggester]", folder: Path) -> "Suggester":
    """Return the loaded model once it has scored a made-up case of each claim and repeated its golden cases.

    Raises ModelError; of them TrialError on errors of other kinds, as weights of another shape cause in scoring.
    """
    from models.golden import check_golden

    try:
        suggester = load(folder)
        warm_up(suggester)
        check_golden(suggester, folder)
    except (ReviewError, OSError, MemoryError):
        raise
    except Exception as error:
        raise TrialError(f"the model fails when it is tried: {type(error).__name__}: {error}") from error
    return suggester


class RefusedModels:
    """The numbers of models that are tried no more in this process."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._n_failures: Counter[int] = Counter()

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def failed(self, number: int, error: ReviewError) -> bool:
        """Note how a model failed; return whether it is refused for good, a TrialError only when it comes again."""
        self._n_failures[number] += 1
        if isinstance(error, TrialError) and self._n_failures[number] < _MOST_FAILURES:
            return False
        self._numbers.add(number)
        return True

    def worked(self, number: int) -> None:
        """Forget how often a model failed before."""
        del self._n_failures[number]
