"""The chat corpus is as varied as real chats: no templates with other nouns and digits put in."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

CHAT = Path(__file__).parents[2] / "datasets" / "chat"
WRITTEN = CHAT.parent / "written"


def _texts() -> list[str]:
    dialogues = [json.loads(line) for path in sorted(CHAT.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    cases = [json.loads(line) for path in sorted(WRITTEN.glob("*/cases.jsonl")) for line in path.open(encoding="utf-8")]
    messages = [message for dialogue in dialogues for message in dialogue["messages"]]
    messages += [message for case in cases for message in case["chat"]]
    return [message["text"] for message in messages]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return _texts()


def test_there_are_at_least_four_thousand_utterances(texts: list[str]) -> None:
    assert len(texts) >= 4_000


def test_nearly_all_are_unique_with_digits_masked(texts: list[str]) -> None:
    masked = {re.sub(r"\d+", "#", text.lower()) for text in texts}
    assert len(masked) / len(texts) >= 0.95


def test_the_nearest_other_utterance_is_far_at_the_median(texts: list[str]) -> None:
    grams = [{text[i : i + 3] for i in range(len(text) - 2)} for text in texts if len(text) >= 3]
    places = {gram: place for place, gram in enumerate(sorted(set().union(*grams)))}
    rows = np.repeat(np.arange(len(grams)), [len(found) for found in grams])
    columns = np.array([places[gram] for found in grams for gram in found])
    table = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(grams), len(places)))
    sizes = np.asarray(table.sum(axis=1)).ravel()
    nearest = np.zeros(len(grams))
    for start in range(0, len(grams), 500):
        shared = (table[start : start + 500] @ table.T).toarray()
        union = sizes[start : start + 500, None] + sizes[None, :] - shared
        likeness = shared / union
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = 0
        nearest[start : start + 500] = likeness.max(axis=1)
    assert np.median(nearest) <= 0.5
