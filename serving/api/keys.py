"""The Idempotency-Key of requests that must have one. What it does is in `serving.repeats`."""

from typing import Annotated

from fastapi import Depends, Request

from serving.refusals import KeyMissingError
from serving.repeats import KEY_HEADER

KEY_NEEDED = ("/decision", "/backlogs", "/retrainings")
"""How the addresses end of the POSTs that need one."""


def needed_key(request: Request) -> str:
    """Raises KeyMissingError."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        raise KeyMissingError
    return key


NeedsKey = Annotated[str, Depends(needed_key)]
