"""What `evidence-train` prints, and how it says a deliberate error."""

from types import TracebackType

import typer
from rich.console import Console

from models.errors import ReviewError

console = Console()


class reported:  # noqa: N801
    """Print one of our own errors as a sentence and leave with status 2."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ReviewError):
            console.print(str(error), style="red", markup=False, soft_wrap=True)
            raise typer.Exit(2) from error
