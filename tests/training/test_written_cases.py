"""Written cases are read whole, and what breaks their format is named by file and line."""

import json
from pathlib import Path

import pytest

from models.errors import InputError
from models.vocabulary import LABELS_OF_SPEAKER, Ruling
from tests.builders import build_case
from training.chat_corpus import read_training_corpus
from training.written_cases import read_written_cases

DATASETS = Path(__file__).parents[2] / "datasets"
HELD_OUT = sorted(path.parent for path in DATASETS.glob("heldout/*/cases/cases.jsonl"))
FOLDERS = sorted(path.parent for path in DATASETS.glob("written/*/cases.jsonl")) + HELD_OUT


def _folder(tmp_path: Path, **files: list[str]) -> Path:
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(DATASETS)))
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


def test_nothing_held_out_is_fitted_on() -> None:
    corpus = read_training_corpus(DATASETS, data_dir=None)
    fitted = {said.text for conversation in corpus for said in conversation.utterances}
    held_out = [written.case for folder in HELD_OUT for written in read_written_cases(folder)]
    long = {message.text for case in held_out for message in case.chat if len(message.text) > 20}
    assert len(long) >= 100
    assert not fitted & long


@pytest.mark.parametrize("folder", HELD_OUT, ids=lambda path: path.parent.name)
def test_an_arguable_held_out_case_lists_its_ruling_and_another(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "acceptable.jsonl").read_text(encoding="utf-8").splitlines()]
    acceptable = {row["case_id"]: {Ruling(ruling) for ruling in row["acceptable"]} for row in rows}
    arguable = {
        written.case.case_id: written.outcome.ruling
        for written in read_written_cases(folder)
        if written.outcome.difficulty == "arguable"
    }
    assert set(acceptable) == set(arguable)
    for case_id, ruling in arguable.items():
        assert ruling in acceptable[case_id]
        assert len(acceptable[case_id]) > 1


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
