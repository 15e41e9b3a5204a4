"""The benchmark's sections on rulings: whole cases and simulated disputes, by claim, language, platform and party.

Figures on written and on simulated cases stand apart. Knows nothing of how evidence is scored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.evidence import CaseEvidence
from models.ruling import RULINGS, RulingClassifier
from models.suggester import Suggester
from models.vocabulary import Claim
from training.benchmark_part import evaluate_part
from training.benchmark_section import BenchmarkConfig, Section, figure_table, image
from training.chat_corpus import language_of
from training.evaluate_rulings import RuledCases
from training.fit_rulings import MEASURE_SEED_OFFSET, ruling_table, score_simulated, simulated_figures
from training.metrics import Figure
from training.mistakes import write_ruling_mistakes
from training.photo_errors import load_photo_errors
from training.plots import reliability_diagram
from training.ruling_scores import RulingScores, party_errors, score_figures, slice_figures
from training.side_by_side import Progress
from training.simulate import SimulatedCase, simulate
from training.statement_pool import load_pool

DIMENSIONS = ("claim", "language", "platform")
_HEADS = ("accuracy", "set_coverage", "set_size", "ece")
_ABLATED = 4_000


def ruling_sections(config: BenchmarkConfig, progress: Progress) -> list[Section]:
    """Return the sections on rulings: on the data's whole cases if it has any, and on simulated ones."""
    suggester, found = evaluate_part(config, "rulings", progress)
    sections = []
    if found.scored.ruled is not None:
        write_ruling_mistakes(found.scored.ruled, config.reports_dir)
        sections.append(_written_section(found.scored.ruled, found.figures, config))
    progress(f"{config.n_simulated} simulated disputes")
    sections.append(_simulated_section(suggester, config, progress))
    return sections


def written_scores(ruled: RuledCases) -> RulingScores:
    """Return the rulings on written cases, a row for each draw of the photo scores of each case."""
    n_seeds = len(ruled.y_prob)

    def repeated(values: Sequence[str]) -> np.ndarray:
        return np.tile(np.array(values, np.str_), n_seeds)

    cases = [truth.case for truth in ruled.cases]
    return RulingScores(
        y_true=np.tile(ruled.y_true, n_seeds),
        y_prob=ruled.y_prob.reshape(-1, len(RULINGS)),
        in_set=ruled.in_set.reshape(-1, len(RULINGS)),
        case_ids=repeated([case.case_id for case in cases]),
        labels={
            "claim": repeated([case.claim for case in cases]),
            "language": repeated(
                [language_of(" ".join(message.text for message in case.chat) or case.listing.title) for case in cases]
            ),
            "platform": repeated([case.platform for case in cases]),
        },
    )


def _written_section(ruled: RuledCases, figures: Mapping[str, Figure], config: BenchmarkConfig) -> Section:
    scores = written_scores(ruled)
    reliability_diagram(
        config.plots_dir / "rulings-written-reliability.svg",
        {"whole cases": (scores.confidence, scores.correct)},
        title="Rulings, whole cases",
        n_bins=5,
    )
    errors = party_errors(scores)
    return Section(
        "Rulings on whole cases",
        (
            f"{len(ruled.cases)} cases, none fitted on; photo scores drawn {len(ruled.y_prob)} times from the truth "
            "with the measured error rates. With so few cases the slices tell only where to look.",
            *_slice_tables(scores),
            _party_table({"whole cases": errors}),
            image("rulings-written-reliability", alt="Reliability of rulings on whole cases"),
        ),
        {name: figure for name, figure in figures.items() if name.startswith("ruling.")},
    )


def _simulated_section(suggester: Suggester, config: BenchmarkConfig, progress: Progress) -> Section:
    pool = load_pool(config.weights_dir / "chat" / "pool.json")
    errors = load_photo_errors(config.weights_dir)
    classifier = suggester.ruling
    figures = simulated_figures(classifier, pool=pool, photo_errors=errors, n_cases=config.n_simulated, seed=0)
    progress("simulated disputes by language, platform and party; ablations")
    n_ablated = min(_ABLATED, config.n_simulated)
    cases = simulate(n_ablated, pool=pool, photo_errors=errors, seed=MEASURE_SEED_OFFSET)
    scores = score_simulated(classifier, cases)
    reliability_diagram(
        config.plots_dir / "rulings-simulated-reliability.svg",
        {"simulated disputes": (scores.confidence, scores.correct)},
        title="Rulings, simulated disputes",
        n_bins=15,
    )
    claims = figure_table(
        ["claim", *_HEADS],
        [
            (str(claim), [figures.get(f"simulated.{head}.{claim}") for head in _HEADS])
            for claim in Claim
            if f"simulated.accuracy.{claim}" in figures
        ]
        + [("all", [figures[f"simulated.{head}"] for head in _HEADS])],
    )
    return Section(
        "Rulings on simulated disputes",
        (
            f"{config.n_simulated} disputes of the simulator (`docs/simulation.md`), drawn with seeds never fitted on, "
            "each claim filled up to 2,000. The promise: set coverage within 2 points of 0.900, calibration error at "
            "most 0.03. A set always holds its first ruling, so a claim whose first ruling is right more often than "
            "0.900 is covered more often too.",
            claims,
            *_slice_tables(scores, dimensions=DIMENSIONS[1:]),
            _party_table({"simulated": party_errors(scores)}),
            "Baselines and ablations, accuracy of the likeliest ruling on "
            f"{n_ablated} of them; without a piece, the same model rules on what is left:",
            ablation_table(classifier, cases),
            image("rulings-simulated-reliability", alt="Reliability of rulings on simulated disputes"),
        ),
        figures,
    )


def _slice_tables(scores: RulingScores, *, dimensions: Sequence[str] = DIMENSIONS) -> list[str]:
    tables = []
    for dimension in dimensions:
        rows: list[tuple[str, list[Figure | str | None]]] = [
            (name, [str(figures["accuracy"].n), *(figures[head] for head in _HEADS)])
            for name, figures in slice_figures(scores, dimension).items()
        ]
        tables.append(figure_table([dimension, "cases", *_HEADS], rows))
    return tables


def _party_table(by_name: Mapping[str, Mapping[str, Figure]]) -> str:
    return figure_table(
        ["errors by party", "gives the buyer too much", "gives the buyer too little"],
        [(name, [found["too_much_for_buyer"], found["too_little_for_buyer"]]) for name, found in by_name.items()],
    )


def ablation_table(classifier: RulingClassifier, cases: Sequence[SimulatedCase]) -> str:
    scored = score_simulated(classifier, cases)
    X, y_true = ruling_table(cases)
    expected = np.exp(X[:, : len(RULINGS)])
    rules_alone = replace(scored, y_prob=expected / expected.sum(axis=1, keepdims=True))
    rows: list[tuple[str, RulingScores]] = [
        ("classifier", scored),
        ("rules alone", rules_alone),
        ("commonest ruling of the claim", _commonest(scored, y_true)),
    ]
    rows += [
        (name, score_simulated(classifier, [replace(one, evidence=strip(one.evidence)) for one in cases]))
        for name, strip in WITHOUT.items()
    ]
    return figure_table(["", "accuracy"], [(name, [score_figures(one)["accuracy"]]) for name, one in rows])


def _commonest(scored: RulingScores, y_true: np.ndarray) -> RulingScores:
    """Return the ruling most frequent among the other half of the cases of each claim."""
    claims = scored.labels["claim"]
    y_prob = np.zeros((len(y_true), len(RULINGS)))
    half = np.arange(len(y_true)) % 2
    for claim in np.unique(claims):
        for side in (0, 1):
            rows, others = ((claims == claim) & (half == which) for which in (side, 1 - side))
            counts = np.bincount(y_true[others], minlength=len(RULINGS))
            y_prob[rows, int(counts.argmax())] = 1.0
    return replace(scored, y_prob=y_prob)


def _without_chat(evidence: CaseEvidence) -> CaseEvidence:
    case = evidence.case.model_copy(update={"chat": (), "buyer_statement": "", "seller_statement": ""})
    return CaseEvidence(case, (), evidence.photos, evidence.match)


def _without_photos(evidence: CaseEvidence) -> CaseEvidence:
    return CaseEvidence(evidence.case.model_copy(update={"photos": ()}), evidence.statements)


def _without_case_part(part: str) -> Callable[[CaseEvidence], CaseEvidence]:
    return lambda evidence: CaseEvidence(
        evidence.case.model_copy(update={part: ()}), evidence.statements, evidence.photos, evidence.match
    )


WITHOUT: dict[str, Callable[[CaseEvidence], CaseEvidence]] = {
    "without chat and accounts": _without_chat,
    "without photos": _without_photos,
    "without documents": _without_case_part("documents"),
    "without the procedure": _without_case_part("timeline"),
    "without logistics": _without_case_part("logistics"),
}
