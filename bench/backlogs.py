"""Made-up backlogs of any size for measuring speed: words of our own chats, no two messages and no two photos alike.

Each message ends in a number of its own and each photo's bytes differ, so that nothing is remembered that a real
backlog wouldn't repeat. Knows nothing of what is measured.
"""

import io
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.case_file import CaseFile
from models.domain import parse_case

ROOT = Path(__file__).parents[1]
MESSAGES_PER_CASE = 10
PHOTO_SIZE = (4000, 3000)
_START = datetime(2026, 3, 1, tzinfo=UTC)
_CLAIMS = ("damaged", "not_as_described", "quality_defect", "not_received")


@cache
def _messages() -> tuple[tuple[str, str], ...]:
    """Return (speaker, text) of every Chinese message of our own dialogues, in the order they were written."""
    found = []
    for path in sorted((ROOT / "datasets" / "chat").glob("zh-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            found += [(message["speaker"], message["text"]) for message in json.loads(line)["messages"]]
    return tuple(found)


@cache
def _photos() -> tuple[bytes, ...]:
    """Return four JPEGs of 12 megapixels: sample photos enlarged, with the grain of a phone."""
    rng = np.random.default_rng(0)
    made = []
    for path in sorted((ROOT / "datasets" / "samples" / "photos").rglob("*.jpg"))[:4]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize(PHOTO_SIZE), np.int16)
        grain = rng.integers(-8, 9, (PHOTO_SIZE[1], PHOTO_SIZE[0], 1))
        out = io.BytesIO()
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
        made.append(out.getvalue())
    return tuple(made)


def photo_bytes(number: int) -> bytes:
    """Return a 12-megapixel JPEG whose bytes no other number has: the number stands in a comment segment."""
    data = _photos()[number % len(_photos())]
    comment = str(number).encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def case_content(number: int, *, n_photos: int) -> dict[str, Any]:
    """Return a case of ten Chinese messages in the intake format."""
    messages = _messages()
    first = number * MESSAGES_PER_CASE
    said = [messages[(first + place) % len(messages)] for place in range(MESSAGES_PER_CASE)]
    return {
        "case_id": f"B-{number:07d}",
        "platform": "taobao",
        "opened_at": (_START + timedelta(days=3, minutes=number % 10_000)).isoformat(),
        "claim": _CLAIMS[number % len(_CLAIMS)],
        "requested": "return_and_refund",
        "listing": {"title": "商品", "description": "全新正品，破损包赔"},
        "order": {
            "order_id": f"O-{number}",
            "buyer_id": f"b-{number % 997}",
            "seller_id": f"s-{number % 101}",
            "paid_minor": 5_900,
            "currency": "CNY",
            "goods_state": "received",
        },
        "logistics": [{"at": (_START + timedelta(days=1)).isoformat(), "event": "signed", "by": "buyer"}],
        "chat": [
            {
                "message_id": f"m{place}",
                "at": (_START + timedelta(days=2, minutes=place)).isoformat(),
                "speaker": speaker,
                "text": f"{text} {first + place}",
            }
            for place, (speaker, text) in enumerate(said)
        ],
        "photos": [
            {
                "photo_id": f"p{place}",
                "role": ("listing", "received")[place % 2],
                "filed_by": ("seller", "buyer")[place % 2],
                "path": f"photos/{number * n_photos + place}.jpg",
            }
            for place in range(n_photos)
        ],
    }


def case_files(n_cases: int, *, n_photos: int, start: int = 0) -> list[CaseFile]:
    contents = [case_content(number, n_photos=n_photos) for number in range(start, start + n_cases)]
    return [
        CaseFile(
            parse_case(content),
            {
                photo["photo_id"]: photo_bytes((start + place) * n_photos + rank)
                for rank, photo in enumerate(content["photos"])
            },
        )
        for place, content in enumerate(contents)
    ]


def write_backlog(folder: Path, n_cases: int, *, n_photos: int, start: int = 0) -> Path:
    """Write `cases.jsonl` with its photos beside it and return its path. A 12-megapixel photo takes about 2 MB."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    path = folder / "cases.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(start, start + n_cases):
            content = case_content(number, n_photos=n_photos)
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
            for place in range(n_photos):
                serial = number * n_photos + place
                (folder / "photos" / f"{serial}.jpg").write_bytes(photo_bytes(serial))
    return path


def fresh_numbers() -> Iterator[int]:
    """Yield starts of cases so far apart that no measurement meets another's."""
    return itertools.count(1_000_000, 100_000)
