"""Promise 5: malformed input gives no 5xx, no crash, bounded memory and time; pixel bombs are refused undecoded."""

import gc
import io
import json
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageFile, WebPImagePlugin

from models.photo_metadata import read_metadata
from serving.backlog.chunk import Refused, parse_entry
from serving.backlog.pool import PoolEngine
from serving.backlog.reading import read_entries
from serving.backlog.run import score_backlog
from serving.backlog.sources import find_sources
from serving.house import House
from serving.records import Role
from tests.builders import build_case, photo_bytes
from tests.models.test_photo_metadata import with_exif
from tests.mutations import bitten, poisoned
from tests.serving.backlog.backlogs import case_content, refused_rows, suggestion_rows, write_lines
from tests.serving.conftest import Headers, headers_of

CASES = "/api/v1/cases"
PHOTO = f"{CASES}/taobao/TB-1/photos/p1"
SHORT, LONG = 60, 2_500
MAX_SECONDS, MAX_GROWTH = 1.0, 100_000_000
Send = Callable[[TestClient, Headers, bytes], Any]


def whole_case() -> dict[str, Any]:
    case = build_case(
        chat=[
            {"message_id": "m1", "at": "2026-03-03T10:00:00Z", "speaker": "buyer", "text": "碎了", "photo_ids": ["p1"]}
        ],
        photos=[{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "p1.jpg"}],
    )
    content: dict[str, Any] = case.model_dump(mode="json")
    return content


def images(rng: random.Random) -> Iterator[bytes]:
    kinds = [photo_bytes(kind=kind) for kind in ("JPEG", "PNG", "WEBP")] + [with_exif(taken="2026:03:01 09:00:00")]
    while True:
        yield bitten(rng.choice(kinds), rng)


def documents(rng: random.Random) -> Iterator[bytes]:
    while True:
        text = json.dumps(poisoned(whole_case(), rng)).encode()
        yield bitten(text, rng) if rng.random() < 0.3 else text


def forms(rng: random.Random) -> Iterator[bytes]:
    case = json.dumps(whole_case()).encode()
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
    whole = part % (b"case", b"case.json", case) + part % (b"p1", b"p1.jpg", photo_bytes()) + b"--x--\r\n"
    while True:
        yield bitten(whole, rng)


def send_photo(client: TestClient, headers: Headers, data: bytes) -> Any:
    read_metadata(data)
    return client.put(PHOTO, content=data, headers={**headers, "Content-Type": "image/jpeg"})


def send_case(client: TestClient, headers: Headers, data: bytes) -> Any:
    return client.post(CASES, content=data, headers={**headers, "Content-Type": "application/json"})


def send_form(client: TestClient, headers: Headers, data: bytes) -> Any:
    kind = "multipart/form-data; boundary=x"
    return client.post("/api/v1/suggestions", content=data, headers={**headers, "Content-Type": kind})


KINDS: dict[str, tuple[Callable[[random.Random], Iterator[bytes]], Send]] = {
    "images": (images, send_photo),
    "JSON": (documents, send_case),
    "multipart": (forms, send_form),
}


class Watch:
    """seconds : CPU time of the slowest input; grown : most memory over that at the beginning, bytes"""

    def __init__(self) -> None:
        # What the tests before left behind is nothing that an input costs.
        gc.collect()
        gc.freeze()
        self.before = resident_bytes()
        self.seconds, self.grown = 0.0, 0

    @contextmanager
    def one_input(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds = max(self.seconds, time.process_time() - began)
        self.grown = max(self.grown, resident_bytes() - self.before)


def assail(house: House, client: TestClient, kind: str, n_inputs: int, watch: Watch) -> Counter[int]:
    """Send so many malformed inputs; return how often each status was answered."""
    make, send = KINDS[kind]
    headers = headers_of(house, Role.SERVICE)
    client.post(CASES, json=whole_case(), headers=headers)
    answers = Counter[int]()
    for _, data in zip(range(n_inputs), make(random.Random(5)), strict=False):
        with watch.one_input():
            answers[send(client, headers, data).status_code] += 1
    return answers


def read_backlog(folder: Path, n_lines: int, watch: Watch) -> Counter[str]:
    """Read a backlog of so many malformed lines; return how many gave a case and how many a reason."""
    made = zip(range(n_lines), documents(random.Random(6)), strict=False)
    lines = [data.replace(b"\n", b" ").replace(b"\r", b" ") or b"x" for _, data in made]
    path = folder / "cases.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    counts, places = Counter[str](), []
    for entry in read_entries(find_sources(str(path), out=folder / "out")):
        places.append(entry.line)
        with watch.one_input():
            counts["refused" if isinstance(parse_entry(entry), Refused) else "read"] += 1
    assert places == [place for place, line in enumerate(lines, 1) if line.strip()]
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_input_is_answered_without_trouble(
    scoring_house: House, scoring_client: TestClient, kind: str
) -> None:
    watch = Watch()
    answers = assail(scoring_house, scoring_client, kind, SHORT, watch)
    assert [status for status in answers if status >= 500] == []
    assert watch.seconds < MAX_SECONDS


def test_a_backlog_of_malformed_lines_is_read_to_its_end(tmp_path: Path) -> None:
    watch = Watch()
    assert read_backlog(tmp_path, SHORT, watch)["refused"] > 0
    assert watch.seconds < MAX_SECONDS


@pytest.mark.long
def test_ten_thousand_malformed_inputs_are_answered_without_trouble(
    scoring_house: House, scoring_client: TestClient, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    for kind in KINDS:
        assail(scoring_house, scoring_client, kind, 200, Watch())
    watch, answers = Watch(), Counter[int]()
    for kind in KINDS:
        answers += assail(scoring_house, scoring_client, kind, LONG, watch)
    n_lines = read_backlog(tmp_path, LONG, watch).total()
    n_failed = sum(count for status, count in answers.items() if status >= 500)
    measured(
        f"{answers.total() + n_lines:,} malformed images, cases, forms and lines of a backlog: {n_failed} answers of "
        f"5xx, no crash, at most {watch.seconds:.2f} s of CPU for one, memory grew by at most "
        f"{watch.grown / 1e6:.0f} MB"
    )
    assert n_failed == 0
    assert watch.seconds < MAX_SECONDS
    assert watch.grown < MAX_GROWTH


def test_one_bad_case_of_a_backlog_is_reported_and_the_others_are_scored(tmp_path: Path, pool: PoolEngine) -> None:
    rows: list[Any] = [case_content(number) for number in range(3)]
    rows[1]["claim"] = "broken heart"
    backlog = write_lines(tmp_path / "cases.jsonl", rows)
    score_backlog(str(backlog), out=tmp_path / "out", engine=pool)
    told = [(row["line"], row["case_id"], row["reason"]) for row in refused_rows(tmp_path / "out")]
    assert told[0][:2] == (2, "TB-1")
    assert told[0][2].startswith("claim:")
    assert [row["case_id"] for row in suggestion_rows(tmp_path / "out")] == ["TB-0", "TB-2"]


def bomb(kind: str) -> bytes:
    """A small file of more pixels than are taken: a PNG and a WEBP of one colour, a JPEG whose header says so."""
    if kind == "JPEG":
        whole = photo_bytes()
        header = whole.index(b"\xff\xc0") + 5
        return whole[:header] + struct.pack(">HH", 60_000, 60_000) + whole[header + 4 :]
    out = io.BytesIO()
    side = 12_000 if kind == "PNG" else 6_400
    Image.new("1" if kind == "PNG" else "L", (side, side)).save(out, kind, quality=1)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_pixel_bomb_is_refused_before_a_pixel_is_decoded(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    headers = headers_of(house, Role.SERVICE)
    client.post(CASES, json=whole_case(), headers=headers)
    data = bomb(kind)
    assert len(data) < 100_000
    for image in (ImageFile.ImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(image, "load", decode)
    answer = send_photo(client, headers, data)
    assert (answer.status_code, "pixels" in answer.text) == (413, True)


@pytest.mark.parametrize("disguise", ["svg", "html", "gif", "zip", "pdf"])
def test_what_only_looks_like_a_photo_is_refused(client: TestClient, house: House, disguise: str) -> None:
    headers = headers_of(house, Role.SERVICE)
    client.post(CASES, json=whole_case(), headers=headers)
    gif = io.BytesIO()
    Image.new("P", (8, 8)).save(gif, "GIF")
    data = {
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "html": b"<html><script>alert(1)</script>",
        "gif": gif.getvalue(),
        "zip": b"PK\x03\x04" + photo_bytes(),
        "pdf": b"%PDF-1.7\n" + photo_bytes(),
    }[disguise]
    assert send_photo(client, headers, data).status_code == 415


def test_a_photo_with_a_script_behind_it_is_shown_re_encoded(client: TestClient, house: House) -> None:
    headers = headers_of(house, Role.SERVICE)
    client.post(CASES, json=whole_case(), headers=headers)
    assert send_photo(client, headers, photo_bytes() + b"<script>alert(1)</script>").status_code == 201
    shown = client.get(PHOTO, headers=headers)
    assert (shown.headers["content-type"], shown.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert b"<script>" not in shown.content


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 50_000, '{"case_id":' + "1" * 5_000 + "}", "1e999999"])
def test_deep_and_enormous_json_is_refused(client: TestClient, house: House, body: str) -> None:
    answer = send_case(client, headers_of(house, Role.SERVICE), body.encode())
    assert answer.status_code in (413, 422)


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "\\\\host\\x"])
def test_a_path_out_of_the_photos_folder_is_refused_by_its_field(client: TestClient, house: House, path: str) -> None:
    case = whole_case()
    case["photos"][0]["path"] = path
    answer = client.post(CASES, json=case, headers=headers_of(house, Role.SERVICE))
    assert answer.status_code == 422
    assert "photos.0.path" in answer.text


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096
