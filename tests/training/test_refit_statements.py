"""Corrected messages move a label's head, within what readers' labels allow; too few change nothing."""

from pathlib import Path

import pytest

from models.case_file import CaseFile
from models.chat import ChatClassifier
from tests.training.corrected_chats import BROKEN, DAMAGE, FINE, corrected_cases, decided, heard, reference
from training.refit_statements import refit_statements
from training.snapshot import DecidedCase


def test_what_people_corrected_is_heard_afterwards_and_nothing_else(
    deaf: ChatClassifier, cache_dir: Path, tmp_path: Path
) -> None:
    refit = refit_statements(deaf, corrected_cases(60), reference=reference())
    assert (refit.learned, refit.left) == ({DAMAGE: 30}, {})
    before, after = heard(deaf, f"{BROKEN} z"), heard(refit.classifier, f"{BROKEN} z")
    assert before[DAMAGE] < 0.5 < after[DAMAGE]
    assert heard(refit.classifier, f"{FINE} z")[DAMAGE] < 0.5
    assert {label: p for label, p in after.items() if label != DAMAGE} == {
        label: p for label, p in before.items() if label != DAMAGE
    }
    refit.classifier.save(tmp_path)
    again = ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    assert heard(again, BROKEN)[DAMAGE] == pytest.approx(heard(refit.classifier, BROKEN)[DAMAGE], abs=1e-6)


def test_corrections_that_readers_contradict_are_left_with_the_reason(deaf: ChatClassifier) -> None:
    refit = refit_statements(deaf, corrected_cases(60), reference=reference(contrary=True))
    assert refit.classifier is deaf
    assert refit.learned == {}
    assert "significantly more mistakes on what readers labelled" in refit.left[DAMAGE]


def test_too_few_corrections_and_those_read_rightly_already_change_nothing(deaf: ChatClassifier) -> None:
    few = refit_statements(deaf, corrected_cases(12), reference=())
    assert few.classifier is deaf
    assert few.left == {DAMAGE: "6 messages still read wrongly, 10 needed"}
    confirmed = [decided(place, corrected=True, holds=False) for place in range(40)]
    assert refit_statements(deaf, confirmed, reference=()).left == {DAMAGE: "0 messages still read wrongly, 10 needed"}


def test_corrections_from_one_seller_alone_are_not_believed(deaf: ChatClassifier) -> None:
    cases = corrected_cases(60)
    one_seller = [
        DecidedCase(
            CaseFile(
                one.file.case.model_copy(update={"order": one.file.case.order.model_copy(update={"seller_id": "s-1"})})
            ),
            one.outcome,
            one.corrections,
        )
        for one in cases
    ]
    refit = refit_statements(deaf, one_seller, reference=())
    assert refit.left == {DAMAGE: "was corrected in one seller's cases only"}
