"""The benchmark's sections on chat statements: label by label, baselines, calibration, ablations.

Knows nothing of photos or rulings.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.metrics import average_precision_score

from models.calibration import debiased_ece
from models.chat import ChatClassifier
from models.chat_heads import Heads
from models.scorer import EvidenceScorer
from models.windows import WindowMaker
from training.benchmark_part import evaluate_part
from training.benchmark_section import BenchmarkConfig, Section, figure_table, image
from training.chat_corpus import read_cases, read_reviews
from training.evaluate import macro_f1_figure
from training.evaluate_chat import ScoredMessages, score_cases, score_reviews
from training.metrics import Figure, bootstrap, macro_f1
from training.mistakes import write_text_mistakes
from training.plots import reliability_diagram
from training.side_by_side import Progress

_FEWEST = 5
_N_BOOTSTRAP = 200
_ALONE = "each message read without the others"


def text_sections(config: BenchmarkConfig, progress: Progress) -> list[Section]:
    """Return the sections on statements that the data allows."""
    suggester, found = evaluate_part(config, "text", progress)
    if not isinstance(suggester.scorer, EvidenceScorer):
        raise TypeError("a benchmark measures the classifiers themselves")
    chat = suggester.scorer.chat
    sections = []
    if found.scored.reviews is not None:
        progress("review ablations")
        reviews = found.scored.reviews
        write_text_mistakes("reviews", reviews, read_reviews(config.data_dir, split="test"), config.reports_dir)
        rows = [("classifier", reviews), *found.scored.review_baselines.items()]
        readers = {name: other for name, other in ablations(chat).items() if name != _ALONE}
        rows += [(name, score_reviews(other, config.data_dir)) for name, other in readers.items()]
        section = _section("Statements in reviews", "reviews", reviews, rows, config, n_labels_from=0)
        sections.append(replace(section, figures=_of("statements.", found.figures)))
    if found.scored.chats is not None:
        progress("chat ablations")
        chats = found.scored.chats
        write_text_mistakes("chats", chats, read_cases(config.data_dir / "cases"), config.reports_dir)
        rows = [("classifier", chats)]
        rows += [(name, score_cases(other, config.data_dir)) for name, other in ablations(chat).items()]
        section = _section("Statements in whole cases", "chats", chats, rows, config, n_labels_from=_FEWEST)
        sections.append(replace(section, figures=_of("chat.", found.figures)))
    return sections


def ablations(chat: ChatClassifier) -> dict[str, ChatClassifier]:
    """Return the classifier with one of its two readers silent, and reading each message without the others."""
    heads, windows = chat.heads, chat.windows
    alone = WindowMaker(windows.tokenizer, **{**windows.limits, "context_messages": 0, "max_window_tokens": 0})

    def changed(heads_now: Heads = heads, windows_now: WindowMaker = windows) -> ChatClassifier:
        return ChatClassifier(
            encoder=chat.encoder,
            heads=heads_now,
            windows=windows_now,
            delta=chat.delta,
            source=chat.source,
            layers=chat.layers,
        )

    return {
        "encoder alone": changed(replace(heads, phrase_share=np.zeros_like(heads.phrase_share))),
        "phrases alone": changed(replace(heads, encoder_share=np.zeros_like(heads.encoder_share))),
        _ALONE: changed(windows_now=alone),
    }


def average_precision(scored: ScoredMessages, *, fewest: int) -> Figure:
    """Return the mean average precision over labels with `fewest` examples or more: no threshold is involved."""
    columns = np.flatnonzero(scored.y_true.sum(axis=0) >= max(1, fewest))

    def mean(rows: np.ndarray) -> float:
        values = [
            average_precision_score(scored.y_true[rows, column], scored.y_prob[rows, column])
            for column in columns
            if scored.y_true[rows, column].any()
        ]
        return float(np.mean(values)) if values else float("nan")

    return bootstrap(mean, scored.groups, n_bootstrap=_N_BOOTSTRAP)


def _section(
    title: str,
    name: str,
    scored: ScoredMessages,
    rows: Sequence[tuple[str, ScoredMessages]],
    config: BenchmarkConfig,
    *,
    n_labels_from: int,
) -> Section:
    compared = figure_table(
        ["scored by", "macro-F1 at 0.5", "mean average precision"],
        [
            (who, [macro_f1_figure(one, min_examples=n_labels_from), average_precision(one, fewest=n_labels_from)])
            for who, one in rows
        ],
    )
    confidence = np.maximum(scored.y_prob, 1 - scored.y_prob)
    correct = (scored.y_prob >= 0.5) == scored.y_true
    asked = scored.y_prob > 0
    reliability_diagram(
        config.plots_dir / f"{name}-reliability.svg",
        {"every label of every message": (confidence[asked], correct[asked])},
        title=title,
    )
    ece = debiased_ece(confidence[asked], correct[asked])
    return Section(
        title,
        (
            f"{len(scored.groups)} messages. Baselines and ablations on the same rows; macro-F1 over labels with "
            f"{max(1, n_labels_from)} or more examples.",
            compared,
            figure_table(
                ["label", "examples", "F1"],
                [
                    (str(label), [str(int(scored.y_true[:, column].sum())), _label_f1(scored, column)])
                    for column, label in enumerate(scored.labels)
                    if scored.y_true[:, column].any()
                ],
            ),
            f"Calibration error over all labels of all messages: {ece:.3f}.",
            image(f"{name}-reliability", alt=f"Reliability of {title.lower()}"),
        ),
    )


def _label_f1(scored: ScoredMessages, column: int) -> Figure:
    y_true, y_pred = scored.y_true[:, [column]], scored.y_prob[:, [column]] >= 0.5
    return bootstrap(lambda rows: macro_f1(y_true[rows], y_pred[rows]), scored.groups, n_bootstrap=_N_BOOTSTRAP)


def _of(prefix: str, figures: dict[str, Figure]) -> dict[str, Figure]:
    return {name: figure for name, figure in figures.items() if name.startswith(prefix)}
