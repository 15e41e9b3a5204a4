"""The sheets of worst mistakes: the surest errors first, texts shown as text."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.chat import Utterance
from models.vocabulary import Speaker, StatementLabel
from training.chat_corpus import LabelledConversation
from training.evaluate import Scored
from training.evaluate_chat import ScoredMessages
from training.evaluate_damage import ScoredPhotos
from training.mistakes import write_photo_mistakes, write_text_mistakes


def test_photos_stand_in_the_order_of_how_wrong_they_were(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{name}.png") for name in ("fine", "worst", "bad")]
    for name in names:
        Image.new("RGB", (40, 30), (200, 10, 10)).save(name)
    nothing = np.full(3, np.nan)
    photos = ScoredPhotos(
        y_true=np.array([True, True, False]),
        y_prob=np.array([0.9, 0.1, 0.7]),
        product=np.array(["cup"] * 3),
        photo=np.array(names),
        pointed=nothing,
        unfamiliarity=nothing,
        strangers=np.zeros(0),
    )
    write_photo_mistakes(Scored(photos=photos), tmp_path / "reports", most=2)
    page = (tmp_path / "reports" / "damage.html").read_text(encoding="utf-8")
    assert page.index("worst.png") < page.index("bad.png")
    assert "fine.png" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert not (tmp_path / "reports" / "listing.html").exists()


def _conversation(name: str, *texts: str) -> LabelledConversation:
    return LabelledConversation(
        conversation_id=name,
        group=name,
        source="case",
        language="zh",
        utterances=tuple(Utterance(f"m{i}", Speaker.BUYER, text) for i, text in enumerate(texts)),
        labels=tuple(frozenset() for _ in texts),
        known=tuple(frozenset() for _ in texts),
    )


def _messages(groups: list[str]) -> ScoredMessages:
    return ScoredMessages(
        labels=(StatementLabel.CLAIMS_DAMAGE,),
        y_true=np.array([[True], [False]]),
        y_prob=np.array([[0.2], [0.99]]),
        groups=np.array(groups),
        language=np.array(["zh", "zh"]),
    )


def test_messages_are_shown_as_text_whatever_they_hold(tmp_path: Path) -> None:
    write_text_mistakes("chats", _messages(["a", "a"]), [_conversation("a", "碎了", "<script>hi</script>")], tmp_path)
    page = (tmp_path / "chats.html").read_text(encoding="utf-8")
    assert page.index("made up: claims_damage") < page.index("missed: claims_damage")
    assert "&lt;script&gt;hi" in page
    assert "<script>" not in page


def test_conversations_that_were_not_scored_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not those that were scored"):
        write_text_mistakes("chats", _messages(["a", "b"]), [_conversation("a", "碎了")], tmp_path)
