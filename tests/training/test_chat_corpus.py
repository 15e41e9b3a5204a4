"""Reading of labelled text: what may be learnt from, what each reader could have said, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from training.chat_corpus import (
    REVIEW_LABELS,
    language_of,
    read_cases,
    read_dialogues,
    read_labelled_lines,
    read_own_reviews,
    read_reviews,
    read_training_corpus,
    text_digest,
)

DATASETS = Path(__file__).parents[2] / "datasets"


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _dialogue(**changes: Any) -> dict[str, Any]:
    row = {
        "dialogue_id": "d1",
        "topic": "mugs",
        "language": "zh",
        "claim": "damaged",
        "messages": [
            {"speaker": "buyer", "text": "碎了", "labels": ["claims_damage"]},
            {"speaker": "platform", "text": "已受理", "labels": []},
        ],
    }
    return row | changes


def _write_data(folder: Path) -> None:
    (folder / "text").mkdir(parents=True)
    with (folder / "text" / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "category", "text", "labels", "split"])
        writer.writerow(["1", "c", "碎了", "claims_damage abusive", "train"])
        writer.writerow(["2", "c", "假货", "claims_counterfeit", "test"])
    (folder / "text" / "unlabelled.txt").write_text("没送赠品\n不知道\n", encoding="utf-8")


def test_a_dialogue_keeps_its_order_labels_and_what_could_be_said(tmp_path: Path) -> None:
    _write_rows(tmp_path / "a.jsonl", [_dialogue()])
    (conversation,) = read_dialogues(tmp_path)
    assert [utterance.text for utterance in conversation.utterances] == ["碎了", "已受理"]
    assert conversation.labels == (frozenset({StatementLabel.CLAIMS_DAMAGE}), frozenset())
    assert conversation.known == (frozenset(LABELS_OF_SPEAKER[Speaker.BUYER]), frozenset())
    assert conversation.group == "goods:mugs"


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [{"speaker": "buyer", "text": "x", "labels": ["offers_refund"]}]},
        {"messages": [{"speaker": "buyer", "text": "x", "labels": ["no_such_label"]}]},
        {"messages": [{"speaker": "robot", "text": "x", "labels": []}]},
        {"messages": [{"speaker": "buyer", "labels": []}]},
    ],
)
def test_a_wrong_dialogue_is_refused_with_file_and_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    _write_rows(tmp_path / "a.jsonl", [_dialogue(), _dialogue(**changes)])
    with pytest.raises(InputError, match=r"a\.jsonl:2"):
        read_dialogues(tmp_path)


def test_broken_json_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(_dialogue()) + "\n{oops\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.jsonl:2"):
        read_dialogues(tmp_path)


def test_messages_of_a_case_meet_their_labels(tmp_path: Path) -> None:
    message = {"at": "2026-03-01T10:00:00+08:00", "speaker": "seller", "text": "no refund", "photo_ids": []}
    _write_rows(
        tmp_path / "cases.jsonl", [{"case_id": "c", "claim": "damaged", "chat": [{"message_id": "m1", **message}]}]
    )
    _write_rows(tmp_path / "statements.jsonl", [{"case_id": "c", "message_id": "m1", "labels": ["refuses"]}])
    (case,) = read_cases(tmp_path)
    assert (case.labels, case.language) == ((frozenset({StatementLabel.REFUSES}),), "en")
    assert (case.group, case.claim) == ("case:c", Claim.DAMAGED)


def test_a_message_sent_with_a_photo_does_not_teach_its_text_to_file_evidence(tmp_path: Path) -> None:
    messages = [
        {"message_id": name, "speaker": "buyer", "text": "看这里", "photo_ids": photos}
        for name, photos in (("m1", ["p1"]), ("m2", []))
    ]
    _write_rows(tmp_path / "cases.jsonl", [{"case_id": "c", "claim": "damaged", "chat": messages}])
    _write_rows(
        tmp_path / "statements.jsonl",
        [{"case_id": "c", "message_id": name, "labels": ["files_evidence"]} for name in ("m1", "m2")],
    )
    (case,) = read_cases(tmp_path)
    buyers = frozenset(LABELS_OF_SPEAKER[Speaker.BUYER])
    assert case.known == (buyers - {StatementLabel.FILES_EVIDENCE}, buyers)
    assert case.labels[0] == frozenset({StatementLabel.FILES_EVIDENCE})


def test_our_own_reviews_are_read_like_public_ones(tmp_path: Path) -> None:
    _write_rows(tmp_path / "sets" / "reviews" / "written.jsonl", [{"text": "少了一袋", "labels": ["claims_missing"]}])
    (review,) = read_own_reviews(tmp_path / "sets" / "reviews" / "written.jsonl")
    assert (review.source, review.known) == ("review", (frozenset(REVIEW_LABELS),))
    (read_again,) = read_training_corpus(tmp_path / "sets", data_dir=None)
    assert read_again == review


def test_reviews_say_nothing_of_labels_that_were_not_used_there(tmp_path: Path) -> None:
    _write_data(tmp_path)
    (review,) = read_reviews(tmp_path, split="train")
    assert review.labels == (frozenset({StatementLabel.CLAIMS_DAMAGE, StatementLabel.ABUSIVE}),)
    assert review.known == (frozenset(REVIEW_LABELS),)
    assert review.utterances[0].speaker is Speaker.BUYER


def test_lines_meet_their_labels_by_digest(tmp_path: Path) -> None:
    _write_data(tmp_path / "data")
    labels = tmp_path / "labels.jsonl"
    _write_rows(labels, [{"sha256": text_digest("没送赠品"), "labels": ["claims_missing"]}])
    (line,) = read_labelled_lines(tmp_path / "data", labels_file=labels)
    assert line.utterances[0].text == "没送赠品"
    assert line.labels == (frozenset({StatementLabel.CLAIMS_MISSING}),)


def test_test_rows_never_reach_the_training_corpus(tmp_path: Path) -> None:
    _write_data(tmp_path / "data")
    _write_rows(tmp_path / "sets" / "chat" / "a.jsonl", [_dialogue()])
    _write_rows(tmp_path / "sets" / "reviews" / "labels.jsonl", [{"sha256": text_digest("不知道"), "labels": []}])
    corpus = read_training_corpus(tmp_path / "sets", data_dir=tmp_path / "data")
    texts = [utterance.text for conversation in corpus for utterance in conversation.utterances]
    assert sorted(texts) == sorted(["碎了", "已受理", "碎了", "不知道"])


def test_without_the_data_folder_only_our_own_text_is_read(tmp_path: Path) -> None:
    _write_rows(tmp_path / "sets" / "chat" / "a.jsonl", [_dialogue()])
    for data_dir in (None, tmp_path / "nowhere"):
        assert [c.source for c in read_training_corpus(tmp_path / "sets", data_dir=data_dir)] == ["dialogue"]


def test_language_is_told_by_the_share_of_han_characters() -> None:
    assert language_of("iPhone 坏了") == "zh"
    assert language_of("it broke in two 坏") == "en"
    assert language_of("") == "en"


def test_our_own_corpus_reads_without_an_error_and_bears_every_label() -> None:
    corpus = read_training_corpus(DATASETS, data_dir=None)
    seen = {label for conversation in corpus for labels in conversation.labels for label in labels}
    assert seen == set(StatementLabel)
    assert {conversation.language for conversation in corpus} == {"zh", "en"}


def test_review_labels_are_digests_and_labels_only() -> None:
    lines = (DATASETS / "reviews" / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        assert set(row) == {"sha256", "labels"}
        assert len(row["sha256"]) == 64
        assert set(row["labels"]) <= set(REVIEW_LABELS)
