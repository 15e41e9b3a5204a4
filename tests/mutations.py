"""Good input made bad: bytes bitten, values poisoned. Every random choice comes from the generator that is given."""

import random
from typing import Any

HOSTILE = (
    "\x00",
    "\ud800",
    "' OR 1=1 --",
    "../../../etc/passwd",
    "=HYPERLINK(1)",
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "A" * 30_000,
    -1,
    10**400,
    1e308,
    None,
    True,
    [],
    {},
    [[[[]]]],
    "9999-99-99T99:99:99Z",
)


def bitten(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes cut, changed, doubled or filled up somewhere."""
    place = rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + rng.randbytes(rng.randint(1, 20)) + data[place + rng.randint(0, 20) :]
        case 2:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 30)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)
        case 3:
            return data[place:] + data[:place]
        case _:
            return data + b"\x00" * rng.randint(1, 500) + data[:place]


def poisoned(content: Any, rng: random.Random) -> Any:
    """Return the JSON value with one part somewhere replaced by something hostile, or a key renamed."""
    if isinstance(content, dict) and content and rng.random() < 0.9:
        key = rng.choice(list(content))
        if rng.random() < 0.1:
            return {**content, rng.choice(["", "\x00", "__proto__", key * 50]): content[key]}
        return {**content, key: poisoned(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.9:
        place = rng.randrange(len(content))
        return [*content[:place], poisoned(content[place], rng), *content[place + 1 :]]
    return rng.choice(HOSTILE)
