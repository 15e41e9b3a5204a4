"""Written cases are read whole, and what breaks their format is named by file and line."""

import json
from pathlib import Path

import pytest

from models.errors import InputError
from models.vocabulary import LABELS_OF_SPEAKER
from tests.builders import build_case
from training.written_cases import read_written_cases

WRITTEN = Path(__file__).parents[2] / "datasets" / "written"
FOLDERS = sorted(path.parent for path in WRITTEN.glob("*/cases.jsonl"))


def _folder(tmp_path: Path, **files: list[str]) -> Path:
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_written_case_is_whole(folder: Path) -> None:
    for written in read_written_cases(folder):
        messages = {message.message_id: message.speaker for message in written.case.chat}
        assert set(written.statements) == set(messages)
        for message_id, labels in written.statements.items():
            assert labels <= set(LABELS_OF_SPEAKER[messages[message_id]])
        assert set(written.photos) == {photo.photo_id for photo in written.case.photos}
        assert written.outcome.difficulty in ("clear", "arguable")


def test_no_case_id_is_used_twice() -> None:
    ids = [written.case.case_id for folder in FOLDERS for written in read_written_cases(folder)]
    assert len(ids) == len(set(ids)) >= 200


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    case = build_case().model_dump_json()
    outcome = json.dumps({"case_id": "TB-1", "ruling": "refund"})
    folder = _folder(tmp_path, cases=[case, "{}"], outcomes=[outcome], statements=[], photos=[])
    with pytest.raises(InputError, match=r"cases.jsonl:2: .*case_id: is required"):
        read_written_cases(folder)


def test_a_case_without_outcome_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, cases=[build_case().model_dump_json()], outcomes=[])
    with pytest.raises(InputError, match=r"cases.jsonl:1: case TB-1 has no outcome"):
        read_written_cases(folder)


def test_a_wrong_ruling_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, cases=[], outcomes=[json.dumps({"case_id": "x", "ruling": "hang"})])
    with pytest.raises(InputError, match=r"outcomes.jsonl:1: ruling"):
        read_written_cases(folder)
