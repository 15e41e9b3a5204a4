"""What each safeguard bought in the simulated years: figures by month, paired differences, plots and a page.

Knows nothing of how a year is lived.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.calibration import debiased_ece
from training.docket import Docket, Year
from training.metrics import Figure, bootstrap
from training.outcome_table import towards
from training.photo_errors import load_photo_errors
from training.plots import time_lines
from training.statement_pool import load_pool
from training.year import ARMS, BLIND_EQUAL, BLIND_WEIGHTED, ECHO_EQUAL, ECHO_WEIGHTED, NEVER, TOLD, Arm, Lived, live

CONTRASTS: tuple[tuple[str, Arm, Arm], ...] = (
    ("retraining, all safeguards", TOLD, NEVER),
    ("retraining, no safeguard", ECHO_EQUAL, NEVER),
    ("blind arm", BLIND_WEIGHTED, ECHO_WEIGHTED),
    ("provenance weights, with a blind arm", BLIND_WEIGHTED, BLIND_EQUAL),
    ("provenance weights, without", ECHO_WEIGHTED, ECHO_EQUAL),
    ("hold-out drawn anew after the change", TOLD, BLIND_WEIGHTED),
)
_N_BOOTSTRAP = 300
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Fared:
    """What one arm's champions said over all years, one row a case, against what careful people rule.

    month : from 0; groups : sellers, who differ from year to year; the rest as in `Lived`
    """

    y_true: NDArray[np.intp]
    y_prob: NDArray[np.float64]
    in_set: NDArray[np.bool_]
    month: NDArray[np.intp]
    groups: NDArray[np.str_]

    def measures(self) -> dict[str, Callable[[NDArray[np.intp]], float]]:
        """Return each figure as a statistic of rows."""
        y_pred = self.y_prob.argmax(axis=1).astype(np.intp)
        correct, confidence = y_pred == self.y_true, self.y_prob.max(axis=1)
        held = self.in_set[np.arange(len(self.y_true)), self.y_true]
        to_buyer, to_seller = (towards(self.y_true, y_pred, party) for party in ("buyer", "seller"))
        return {
            "accuracy": lambda rows: float(correct[rows].mean()),
            "calibration error": lambda rows: debiased_ece(confidence[rows], correct[rows], n_bins=10),
            "set coverage": lambda rows: float(held[rows].mean()),
            "errors towards buyer": lambda rows: float(to_buyer[rows].mean()),
            "errors towards seller": lambda rows: float(to_seller[rows].mean()),
        }


@dataclass(frozen=True)
class Years:
    """All simulated years. fared : by the arm's name; lived : each year's, by the arm's name"""

    year: Year
    n_years: int
    fared: dict[str, Fared]
    lived: list[dict[str, Lived]]


def live_years(year: Year, *, n_years: int, weights_dir: Path, workers: int = 2, progress: Progress = print) -> Years:
    """Return years of different seeds, `workers` of them at a time, each in a process of its own."""
    each = [replace(year, seed=year.seed + 100 * number) for number in range(n_years)]
    found: list[tuple[Docket, dict[str, Lived]]] = []
    if workers < 2 or n_years < 2:
        found = [_live_one(weights_dir, one, progress=progress) for one in each]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for result in pool.map(partial(_live_one, weights_dir), each):
                found.append(result)
                progress(f"{len(found)} of {n_years} years lived through")
    fared = {arm.name: joined(found, arm.name) for arm in ARMS}
    return Years(year, n_years, fared, [lived for _, lived in found])


def by_month(fared: Fared) -> dict[str, list[float]]:
    """Return each figure month by month, the cases of all years together."""
    rows = [np.flatnonzero(fared.month == month) for month in range(int(fared.month.max()) + 1)]
    return {name: [measure(some) for some in rows] for name, measure in fared.measures().items()}


def differences(one: Fared, other: Fared, months: range) -> dict[str, Figure]:
    """Return one minus the other on the cases of these months, with paired 95 % intervals over sellers."""
    chosen = np.flatnonzero(np.isin(one.month, list(months)))
    mine, theirs = one.measures(), other.measures()
    return {
        name: bootstrap(
            lambda rows, name=name: mine[name](chosen[rows]) - theirs[name](chosen[rows]),  # type: ignore[misc]
            one.groups[chosen],
            n_bootstrap=_N_BOOTSTRAP,
        )
        for name in mine
    }


def write_page(years: Years, page: Path) -> None:
    """Write the page and its plots, which lie in a folder of the page's name."""
    events = years.year.events
    months = {arm: by_month(fared) for arm, fared in years.fared.items()}
    plots = page.with_suffix("")
    measures = list(next(iter(months.values())))
    for name in measures:
        lines = {arm: figures[name] for arm, figures in months.items()}
        time_lines(plots / f"{name.replace(' ', '-')}.svg", lines, events=events, title=name, y_label=name)
    page.write_text(_page(years, months, plots.name, measures), encoding="utf-8")


def windows(year: Year) -> dict[str, range]:
    """Return the months (from 0) between one event and the next."""
    starts = [round(passed) for passed in sorted(year.events.values())]
    names = ["before anything", *(f"after the {name}" for name in sorted(year.events, key=year.events.__getitem__))]
    return {
        name: range(start, end)
        for name, start, end in zip(names, [0, *starts], [*starts, year.n_months], strict=True)
        if start < end
    }


def _live_one(weights_dir: Path, year: Year, progress: Progress = lambda line: None) -> tuple[Docket, dict[str, Lived]]:
    return live(
        year,
        pool=load_pool(weights_dir / "chat" / "pool.json"),
        photo_errors=load_photo_errors(weights_dir),
        progress=progress,
    )


def joined(found: Sequence[tuple[Docket, dict[str, Lived]]], arm: str) -> Fared:
    """Return how one arm fared over all years together."""
    return Fared(
        np.concatenate([docket.y_true for docket, _ in found]),
        np.concatenate([lived[arm].y_prob for _, lived in found]),
        np.concatenate([lived[arm].in_set for _, lived in found]),
        np.concatenate([docket.month for docket, _ in found]),
        np.array(
            [f"{n}/{case.order.seller_id}" for n, (docket, _) in enumerate(found) for case in docket.cases], np.str_
        ),
    )


def _page(
    years: Years, months: Mapping[str, Mapping[str, Sequence[float]]], plots: str, measures: Sequence[str]
) -> str:
    year, spans = years.year, windows(years.year)
    n_cases = years.n_years * year.n_cases
    lines = [
        "# A simulated year of retraining",
        "",
        f"Written by `evidence-train loop --years {years.n_years} --cases {year.cases_a_month}` (`make loop`):",
        f"{n_cases:,} simulated cases in all; nothing here is real.",
        "Every arm meets the same cases and the same people. Figures compare what its champion said to a case before",
        "anybody decided it with what careful people rule. What is assumed stands in `training/docket.py` (`Year`);",
        "docs/retraining.md says what follows.",
        "",
        *(f"![{name}]({plots}/{name.replace(' ', '-')}.svg)" for name in measures),
        "",
        "## By arm",
        "",
        "| arm | promotions a year | " + " | ".join(f"accuracy {name}" for name in spans) + " |",
        "|---" * (2 + len(spans)) + "|",
    ]
    for arm in months:
        promoted = np.mean([len(lived[arm].promoted) for lived in years.lived])
        fared = years.fared[arm]
        measure = fared.measures()["accuracy"]
        cells = [measure(np.flatnonzero(np.isin(fared.month, list(span)))) for span in spans.values()]
        lines.append(f"| {arm} | {promoted:.1f} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    lines += [
        "",
        "## What each safeguard buys",
        "",
        "With it minus without it, paired on the same cases, 95 % bootstrap intervals over sellers; a star where the",
        "interval leaves out 0. Accuracy: above 0 is better. Coverage: 0.9 is promised. The others: below 0 is better.",
    ]
    for span, chosen in spans.items():
        n_rows = int(np.isin(next(iter(years.fared.values())).month, list(chosen)).sum())
        lines += [
            "",
            f"### Months {chosen.start + 1} to {chosen.stop}, {span} (n = {n_rows:,})",
            "",
            "| safeguard | " + " | ".join(measures) + " |",
            "|---" * (1 + len(measures)) + "|",
        ]
        for name, one, other in CONTRASTS:
            found = differences(years.fared[one.name], years.fared[other.name], chosen)
            lines.append(f"| {name} | " + " | ".join(_cell(figure) for figure in found.values()) + " |")
    lines += [
        "",
        "## What the list of doubtful labels is worth",
        "",
        "At the last retraining, the years' mean.",
        "",
        "| arm | wrong among all labels taught | wrong among those listed | biased dismissals taught that are listed |",
        "|---|---|---|---|",
    ]
    for arm in months:
        worth = [known for lived in years.lived if (known := lived[arm].doubtful) is not None]
        if worth:
            shares = [
                _mean([getattr(known, name) for known in worth])
                for name in ("wrong_taught", "wrong_listed", "bias_listed")
            ]
            lines.append(f"| {arm} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def _mean(shares: Sequence[float]) -> str:
    known = [share for share in shares if not np.isnan(share)]
    return f"{np.mean(known):.0%}" if known else "none taught"


def _cell(figure: Figure) -> str:
    clear = figure.low > 0 or figure.high < 0
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f}){'*' if clear else ''}"
