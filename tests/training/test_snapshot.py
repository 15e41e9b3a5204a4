"""A snapshot is read whole or refused by the name of the file that is wrong."""

import hashlib
import json
from pathlib import Path

import pytest

from models.errors import InputError
from tests.builders import build_case, photo_bytes
from training.snapshot import read_snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "photos/a.jpg"}]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(photo_bytes())
    (tmp_path / "cases.jsonl").write_text(build_case(photos=photos).model_dump_json() + "\n", encoding="utf-8")
    outcome = {"case_id": "TB-1", "platform": "taobao", "ruling": "refund"}
    (tmp_path / "outcomes.jsonl").write_text(json.dumps(outcome) + "\n", encoding="utf-8")
    names = ("cases.jsonl", "outcomes.jsonl", "photos/a.jpg")
    files = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return tmp_path


def test_a_whole_snapshot_gives_cases_with_photos_and_outcomes(snapshot: Path) -> None:
    (decided,) = read_snapshot(snapshot)
    assert (decided.outcome.ruling, set(decided.file.photos)) == ("refund", {"p1"})


@pytest.mark.parametrize("name", ["cases.jsonl", "outcomes.jsonl", "photos/a.jpg"])
def test_a_flipped_byte_is_refused_by_name(snapshot: Path, name: str) -> None:
    data = bytearray((snapshot / name).read_bytes())
    data[len(data) // 2] ^= 1
    (snapshot / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: is altered"):
        read_snapshot(snapshot)


def test_an_absent_file_or_manifest_is_refused_by_name(snapshot: Path) -> None:
    (snapshot / "photos" / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"photos/a.jpg: is absent"):
        read_snapshot(snapshot)
    (snapshot / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"manifest.json"):
        read_snapshot(snapshot)


@pytest.mark.parametrize("files", [[], 5, {"../x": "0"}, {"a\x00b": "0"}, {"x" * 300: "0"}, {".": "0"}, {"a": None}])
def test_a_manifest_that_names_what_cannot_be_read_is_refused(snapshot: Path, files: object) -> None:
    (snapshot / "manifest.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    with pytest.raises(InputError):
        read_snapshot(snapshot)
