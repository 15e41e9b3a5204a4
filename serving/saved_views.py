"""Saved views of the queue: the filters of its page, kept as they stand in its address. Knows no page."""

from typing import get_args
from urllib.parse import parse_qsl

from serving.desk_records import FilterName

_NAMES: dict[str, FilterName] = {name: name for name in get_args(FilterName)}
_LONGEST = 128


def filters_of(query: str) -> dict[FilterName, str]:
    """Return the filters that an address asks for; what the queue has no filter for is left out."""
    asked = ((_NAMES.get(name), value.replace("\x00", "")[:_LONGEST]) for name, value in parse_qsl(query))
    return {name: value for name, value in asked if name is not None and value}
