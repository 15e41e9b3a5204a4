"""What every command of `evidence-review` shares: the settings, the parts wired from them, and how errors are told."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

from models.errors import CaseFormatError, InputError, ReviewError

if TYPE_CHECKING:
    from serving.house import House
    from serving.settings import Settings

BAD_INPUT = 2
_LONGEST_NAME = 100
console = Console()
errors = Console(stderr=True)


def read_settings(*, host: str | None = None, port: int | None = None) -> "Settings":
    """Return the settings. host, port : of the command line, before what is set; None where it says none"""
    from pydantic import ValidationError

    from serving.settings import PREFIX, Settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        problems = [(PREFIX + "_".join(map(str, item["loc"])).upper(), item["msg"]) for item in error.errors()]
        raise CaseFormatError(problems, source="settings") from error


def operator() -> str:
    """Return who runs this command, for the audit trail: `system:cli:` and the operating system's user."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return f"system:cli:{name[:_LONGEST_NAME]}"


def open_house() -> "House":
    from serving.house import build_house

    return build_house(read_settings())


@contextmanager
def reported() -> Iterator[None]:
    """Say a deliberate error in a line or a line a field, and leave with a code: 2 for bad input, else 1."""
    try:
        yield
    except CaseFormatError as error:
        for field, message in error.problems:
            where = f"{error.source}: " if error.source else ""
            errors.print(f"{where}{field}: {message}", markup=False, soft_wrap=True)
        raise typer.Exit(BAD_INPUT) from error
    except ReviewError as error:
        stop(str(error), code=BAD_INPUT if isinstance(error, InputError) else 1)


def stop(message: str, *, code: int) -> NoReturn:
    errors.print(message, markup=False, soft_wrap=True)
    raise typer.Exit(code)
