"""The fields that domain types are made of: text that can be stored, identifiers, money, and their frozen base.

Knows no case.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def written_out(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates, which JSON may smuggle in, are written as `\\ud800`."""
    return text.encode("utf-8", "backslashreplace").decode()


def _storable(text: str) -> str:
    """Refuse text that no database or JSON file can hold: NUL and lone surrogates."""
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("holds a lone surrogate") from error
    return text


def _addressable(text: str) -> str:
    """Refuse an id that would lead elsewhere once it stands in an address: browsers walk up at `..`."""
    if not {".", ".."}.isdisjoint(text.split("/")):
        raise ValueError("holds a path segment of dots only")
    return text


def _relative(path: str) -> str:
    drive = ":" in path[:3] and "://" not in path
    if path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/") or drive:
        raise ValueError("must be relative to the photos folder, or its URL, and stay inside it")
    return path


Storable = Annotated[str, AfterValidator(_storable)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_storable)]
Identifier = Annotated[
    str, Field(min_length=1, max_length=128), AfterValidator(_storable), AfterValidator(_addressable)
]
ShortText = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_storable)]
RelativePath = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_storable), AfterValidator(_relative)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Money = Annotated[int, Field(ge=0, le=10**12)]


class Frozen(BaseModel):
    """Base of every domain type: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
