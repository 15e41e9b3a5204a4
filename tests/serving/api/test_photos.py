"""Photo bytes: checked by decoding, kept by digest, shown re-encoded."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from tests.builders import photo_bytes
from tests.serving.conftest import Headers, keyed

CASES = "/api/v1/cases"
ONE = f"{CASES}/taobao/TB-2026-000123"
PHOTO = f"{ONE}/photos/p1"


@pytest.fixture(autouse=True)
def _case(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)


def bomb() -> bytes:
    """Return a PNG of a few bytes that claims 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def files_in(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_makes_a_version_and_is_shown_with_its_size(client: TestClient, service: Headers, kind: str) -> None:
    answer = client.put(PHOTO, content=photo_bytes(kind=kind, size=(64, 48)), headers=service)
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    photo = client.get(ONE, headers=service).json()["photos"][0]
    assert (photo["present"], photo["width"], photo["height"]) == (True, 64, 48)


def test_a_form_upload_is_the_same_photo(client: TestClient, service: Headers) -> None:
    data = photo_bytes()
    client.put(PHOTO, content=data, headers=service)
    answer = client.put(PHOTO, files={"file": ("any.bin", data)}, headers=service)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


def test_other_bytes_for_a_photo_make_another_version(client: TestClient, service: Headers) -> None:
    client.put(PHOTO, content=photo_bytes(seed=1), headers=service)
    assert client.put(PHOTO, content=photo_bytes(seed=2), headers=service).json()["version"] == 3


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 415),
        (b"GIF89a not for us", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (photo_bytes()[:200], 415),
        (bomb(), 413),
        (b"\xff\xd8" + b"x" * 100_000, 413),
    ],
    ids=["empty", "gif", "svg", "truncated", "bomb", "too many bytes"],
)
def test_what_is_no_acceptable_photo_is_refused_and_not_kept(
    client: TestClient, house: House, service: Headers, data: bytes, status: int
) -> None:
    answer = client.put(PHOTO, content=data, headers=service)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert files_in(house.settings.photo_dir) == 0
    assert client.get(ONE, headers=service).json()["version"] == 1


def test_a_photo_the_case_does_not_list_is_404(client: TestClient, house: House, service: Headers) -> None:
    assert client.put(f"{ONE}/photos/p9", content=photo_bytes(), headers=service).status_code == 404
    assert files_in(house.settings.photo_dir) == 0
    assert client.get(PHOTO, headers=service).status_code == 404


def test_the_preview_is_a_small_clean_jpeg_and_the_original_is_as_filed(client: TestClient, service: Headers) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0110] = "a camera with a secret"
    Image.new("RGB", (2000, 1000), "white").save(buffer, "JPEG", exif=exif)
    client.put(PHOTO, content=buffer.getvalue(), headers=service)
    preview = client.get(PHOTO, headers=service)
    assert preview.headers["content-type"] == "image/jpeg"
    assert preview.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in preview.headers["content-security-policy"]
    assert b"secret" not in preview.content
    assert Image.open(io.BytesIO(preview.content)).size == (1280, 640)
    original = client.get(PHOTO, params={"size": "original"}, headers=service)
    assert original.content == buffer.getvalue()


def test_an_unchanged_photo_is_not_sent_again(client: TestClient, service: Headers) -> None:
    client.put(PHOTO, content=photo_bytes(), headers=service)
    etag = client.get(PHOTO, headers=service).headers["etag"]
    assert client.get(PHOTO, headers={**service, "If-None-Match": etag}).status_code == 304


def test_an_altered_file_is_noticed_and_never_shown(client: TestClient, house: House, service: Headers) -> None:
    client.put(PHOTO, content=photo_bytes(seed=1), headers=service)
    stored = next(path for path in house.settings.photo_dir.rglob("*") if path.is_file())
    stored.write_bytes(photo_bytes(seed=2))
    answer = client.get(PHOTO, headers=service)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:evidence-review:problem:photo-corrupt")


def test_a_photo_for_a_decided_case_is_refused(client: TestClient, service: Headers, arbitrator: Headers) -> None:
    client.post(f"{ONE}/decision", json={"ruling": "refund"}, headers=keyed(arbitrator))
    assert client.put(PHOTO, content=photo_bytes(), headers=service).status_code == 409


def test_a_photo_answers_a_request_for_evidence(client: TestClient, service: Headers, arbitrator: Headers) -> None:
    client.post(f"{ONE}/decision", json={"ruling": "request_evidence"}, headers=keyed(arbitrator))
    assert client.get(ONE, headers=service).json()["status"] == "awaiting_evidence"
    client.put(PHOTO, content=photo_bytes(), headers=service)
    view = client.get(ONE, headers=service).json()
    assert (view["status"], view["decisions"][0]["state"]) == ("open", "answered")
    assert client.post(f"{ONE}/decision", json={"ruling": "refund"}, headers=keyed(arbitrator)).status_code == 201
