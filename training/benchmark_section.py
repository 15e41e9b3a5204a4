"""A section of the benchmark: its text and figures, kept as JSON between the processes that make sections.

Knows nothing of how a section is measured.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from training.metrics import Figure


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured on what, and where the results go.

    plots_dir : SVG plots; parts_dir : sections as JSON; reports_dir : sheets with photos and texts, never committed
    ruled_on : the day of ruling; n_simulated : simulated disputes
    """

    data_dir: Path
    datasets_dir: Path
    weights_dir: Path
    cache_dir: Path
    plots_dir: Path
    parts_dir: Path
    reports_dir: Path
    ruled_on: date
    n_simulated: int = 20_000


@dataclass(frozen=True)
class Section:
    """blocks : Markdown paragraphs, tables and images in order; figures : by name, for the model card."""

    title: str
    blocks: tuple[str, ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def markdown(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.blocks])


def write_sections(sections: Sequence[Section], path: Path) -> None:
    """Write sections as JSON."""
    rows = [
        {
            "title": section.title,
            "blocks": list(section.blocks),
            "figures": {name: figure.as_json() for name, figure in section.figures.items()},
        }
        for section in sections
    ]
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def read_sections(path: Path) -> list[Section]:
    """Return the sections that `write_sections` wrote."""
    return [
        Section(
            row["title"],
            tuple(row["blocks"]),
            {name: Figure(**figure) for name, figure in row["figures"].items()},
        )
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]


def figure_table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Figure | str | None]]]) -> str:
    """Return a Markdown table; a figure is shown with its interval, None as an empty cell."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {name} | {' | '.join(_cell(value) for value in values)} |" for name, values in rows]
    return "\n".join(lines)


def image(name: str, *, alt: str) -> str:
    """Return the Markdown of a plot that lies in the plots' folder."""
    return f"![{alt}](benchmark/{name}.svg)"


def _cell(value: Figure | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
