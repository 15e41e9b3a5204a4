"""Figures of the masking: what counts as hidden, and what as a false alarm."""

from models.privacy import mask
from training.config import DATASETS_DIR
from training.evaluate_privacy import PrivacyLine, measure_privacy, privacy_table, read_lines
from training.shares import Share


def line(text: str, *spans: tuple[int, int, str]) -> PrivacyLine:
    return PrivacyLine.model_validate(
        {"line_id": "a", "split": "dev", "language": "zh", "hard_negative": not spans, "text": text, "spans": spans}
    )


def test_a_span_counts_as_hidden_only_with_all_its_digits() -> None:
    assert measure_privacy([line("打13812345678", (1, 12, "phone"))]).recall["phone"] == Share(1, 1)
    assert measure_privacy([line("打13812345678/9", (1, 14, "phone"))]).recall["phone"] == Share(0, 1)


def test_a_mask_over_nothing_personal_is_a_false_alarm() -> None:
    figures = measure_privacy([line("13812345678")])
    assert figures.precision["phone"] == Share(0, 1)
    assert figures.clean == Share(0, 1)
    assert figures.false_alarms == [("a", "phone: 13812345678")]


def test_the_lines_hold_what_the_figures_need() -> None:
    lines = read_lines(DATASETS_DIR / "privacy" / "lines.jsonl")
    assert len(lines) >= 400
    assert len({line.text for line in lines}) == len(lines)
    assert sum(line.hard_negative for line in lines) >= 100
    assert all(line.hard_negative == (not line.spans) for line in lines)
    assert {line.split for line in lines} == {"dev", "test"}


def test_the_table_gives_every_kind_with_its_interval() -> None:
    table = privacy_table(measure_privacy([line("打13812345678", (1, 12, "phone"))]))
    assert "| phone | 1.000 (0.207–1.000, n 1) |" in table
    assert mask(table) == table
