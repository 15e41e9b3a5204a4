"""Every labelled text the chat classifier learns from or is measured on, read into one form.

Dialogues and written cases are ours and in the repository. Review texts may not be redistributed: their labels are
kept by the digest of the text and meet it again at training time; without the data folder training goes on without.
Knows nothing of encoders and of fitting.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from models.windows import Utterance

REVIEW_LABELS: tuple[StatementLabel, ...] = (
    StatementLabel.CLAIMS_DAMAGE,
    StatementLabel.CLAIMS_MISMATCH,
    StatementLabel.CLAIMS_DEFECT,
    StatementLabel.CLAIMS_MISSING,
    StatementLabel.CLAIMS_NOT_RECEIVED,
    StatementLabel.CLAIMS_COUNTERFEIT,
    StatementLabel.CHANGED_MIND,
    StatementLabel.ABUSIVE,
)
_HAN = re.compile(r"[一-鿿]")


@dataclass(frozen=True)
class LabelledConversation:
    """A conversation with the labels a reader gave to each message.

    group : conversations of one group (goods, case) are never split between fitting and checking
    source : "dialogue", "case" or "review"
    labels : one set a message
    known : the labels the reader could have given to each message; the others say nothing
    claim : what the buyer filed, where it is known
    """

    conversation_id: str
    group: str
    source: str
    language: str
    utterances: tuple[Utterance, ...]
    labels: tuple[frozenset[StatementLabel], ...]
    known: tuple[frozenset[StatementLabel], ...]
    claim: Claim | None = None


def read_dialogues(folder: Path) -> list[LabelledConversation]:
    """Return the dialogues of `folder/*.jsonl`, grouped by kind of goods."""
    conversations = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, row in enumerate(_rows(path), 1):
            try:
                messages = [
                    (Utterance(f"m{place}", Speaker(message["speaker"]), message["text"]), message["labels"])
                    for place, message in enumerate(row["messages"], 1)
                ]
                conversations.append(
                    _conversation(
                        row["dialogue_id"],
                        messages,
                        group=f"goods:{row['topic']}",
                        source="dialogue",
                        language=row["language"],
                        claim=Claim(row["claim"]),
                    )
                )
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"not a labelled dialogue: {error!r}", field=f"{path.name}:{number}") from error
    return conversations


def read_cases(folder: Path) -> list[LabelledConversation]:
    """Return the chats of `folder`/cases.jsonl with the labels of statements.jsonl, each case its own group."""
    labels: dict[tuple[str, str], list[str]] = {
        (row["case_id"], row["message_id"]): row["labels"] for row in _rows(folder / "statements.jsonl")
    }
    conversations = []
    for number, row in enumerate(_rows(folder / "cases.jsonl"), 1):
        try:
            messages = [
                (
                    Utterance(
                        message["message_id"],
                        Speaker(message["speaker"]),
                        message["text"],
                        attachments=len(message.get("photo_ids", ())),
                    ),
                    labels.get((row["case_id"], message["message_id"]), []),
                )
                for message in row["chat"]
            ]
            conversations.append(
                _conversation(
                    row["case_id"],
                    messages,
                    group=f"case:{row['case_id']}",
                    source="case",
                    language=language_of(" ".join(utterance.text for utterance, _ in messages)),
                    claim=Claim(row["claim"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a labelled case: {error!r}", field=f"cases.jsonl:{number}") from error
    return conversations


def read_written(folder: Path) -> list[LabelledConversation]:
    """Return the chats of every finished subfolder of whole written cases."""
    ready = (path.parent for path in sorted(folder.glob("*/cases.jsonl")))
    return [case for path in ready if (path / "statements.jsonl").exists() for case in read_cases(path)]


def read_reviews(data_dir: Path, *, split: str) -> list[LabelledConversation]:
    """Return the rows of `text/reviews.csv` of one split, each a conversation of one buyer message."""
    path = data_dir / "text" / "reviews.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [_review(row["id"], row["text"], row["labels"].split()) for row in rows]


def read_labelled_lines(data_dir: Path, *, labels_file: Path) -> list[LabelledConversation]:
    """Return the lines of `text/unlabelled.txt` whose digest stands in `labels_file`."""
    path = data_dir / "text" / "unlabelled.txt"
    if not path.exists() or not labels_file.exists():
        return []
    labels = {row["sha256"]: row["labels"] for row in _rows(labels_file)}
    found = {}
    for line in path.read_text(encoding="utf-8").split("\n"):
        digest = text_digest(line)
        if digest in labels:
            found[digest] = _review(digest[:12], line, labels[digest])
    return [found[digest] for digest in sorted(found)]


def read_own_reviews(path: Path) -> list[LabelledConversation]:
    """Return the review-like messages that were written for this project, with their texts."""
    return [_review(text_digest(row["text"])[:12], row["text"], row["labels"]) for row in _rows(path)]


def read_training_corpus(datasets_dir: Path, *, data_dir: Path | None) -> list[LabelledConversation]:
    """Return everything that may be fitted on: our own texts and, where `data_dir` is there, public reviews."""
    corpus = read_dialogues(datasets_dir / "chat") + read_written(datasets_dir / "written")
    if (own_reviews := datasets_dir / "reviews" / "written.jsonl").exists():
        corpus += read_own_reviews(own_reviews)
    if data_dir is not None:
        corpus += read_reviews(data_dir, split="train")
        corpus += read_labelled_lines(data_dir, labels_file=datasets_dir / "reviews" / "labels.jsonl")
    return corpus


def text_digest(text: str) -> str:
    """Return the sha256 of the text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def language_of(text: str) -> str:
    """Return "zh" where at least a tenth of the characters are Han, else "en"."""
    return "zh" if len(_HAN.findall(text)) * 10 >= max(1, len(text)) else "en"


def _review(review_id: str, text: str, labels: Iterable[str]) -> LabelledConversation:
    return LabelledConversation(
        conversation_id=f"review-{review_id}",
        group=f"review:{review_id}",
        source="review",
        language=language_of(text),
        utterances=(Utterance("m1", Speaker.BUYER, text),),
        labels=(frozenset(map(StatementLabel, labels)),),
        known=(frozenset(REVIEW_LABELS),),
    )


def _conversation(
    conversation_id: str,
    messages: Sequence[tuple[Utterance, Sequence[str]]],
    *,
    group: str,
    source: str,
    language: str,
    claim: Claim,
) -> LabelledConversation:
    known = tuple(_known(utterance) for utterance, _ in messages)
    labels = tuple(frozenset(map(StatementLabel, given)) for _, given in messages)
    for (utterance, _), given in zip(messages, labels, strict=True):
        if foreign := given - frozenset(LABELS_OF_SPEAKER[utterance.speaker]):
            raise ValueError(f"{utterance.message_id}: the {utterance.speaker} can't bear {sorted(foreign)}")
    said = tuple(utterance for utterance, _ in messages)
    return LabelledConversation(conversation_id, group, source, language, said, labels, known, claim)


def _known(utterance: Utterance) -> frozenset[StatementLabel]:
    """Return what the text can teach; beside an attachment it need not say that it files evidence."""
    taught_elsewhere = {StatementLabel.FILES_EVIDENCE} if utterance.attachments else set()
    return frozenset(LABELS_OF_SPEAKER[utterance.speaker]) - taught_elsewhere


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file. Raises InputError naming file and line."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"is not JSON: {error}", field=f"{path.name}:{number}") from error
        if not isinstance(row, dict):
            raise InputError("is not an object", field=f"{path.name}:{number}")
        rows.append(row)
    return rows
