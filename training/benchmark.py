"""`evidence-train benchmark`: everything that says how right the models are, on test rows and on what they never saw.

Photos are measured beside texts and rulings, each in a process of its own. Writes docs/benchmark.md with its plots and
the model card. Knows the order and the report, not how anything is measured.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import InputError
from models.registry import verified_manifest
from training.benchmark_photos import photo_sections
from training.benchmark_rulings import ruling_sections
from training.benchmark_section import BenchmarkConfig, Section, read_sections, write_sections
from training.benchmark_texts import text_sections
from training.evaluate import Evaluation
from training.side_by_side import Progress, run_side_by_side

REPORT = Path(__file__).parent.parent / "docs" / "benchmark.md"
_PARTS = {
    "reviews": ("text/reviews.csv",),
    "whole cases": ("cases/cases.jsonl", "cases/outcomes.jsonl"),
    "damage photos": ("damage/photos.csv",),
    "listing photos": ("grocery/photos.csv",),
}
Maker = Callable[[BenchmarkConfig, Progress], list[Section]]
SIDES: dict[str, tuple[Maker, ...]] = {"words": (text_sections, ruling_sections), "photos": (photo_sections,)}
_INTRO = """# Benchmark

Written by `evidence-train benchmark --data DIR`; model version `{version}`, rulings as of {ruled_on}. Every figure is
followed by its 95 % bootstrap interval, over products for photos and over cases for cases. Nothing here was fitted on,
and baselines are fitted and scored on the same rows in the same run. Product types left out are cross-validated on
training rows, for most types have fewer than 100 test rows. Figures on simulated disputes stand in a section of their
own. The worst mistakes, with photos and texts, are in `reports/`, which is never committed.
"""


@dataclass(frozen=True)
class Benchmark:
    """sections : in the order of the report; missing : parts that the data folder lacks"""

    sections: list[Section]
    missing: list[str]

    @property
    def evaluation(self) -> Evaluation:
        """Every figure, for the model card."""
        figures = {name: figure for section in self.sections for name, figure in section.figures.items()}
        prefix = "damage.auroc_by_product."
        by_product = {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}
        return Evaluation({name: value for name, value in figures.items() if not name.startswith(prefix)}, by_product)


def missing_parts(data_dir: Path) -> list[str]:
    """Return what the folder lacks. Raises InputError when it has nothing to measure on."""
    missing = [part for part, names in _PARTS.items() if not all((data_dir / name).is_file() for name in names)]
    if len(missing) == len(_PARTS):
        wanted = ", ".join(name for names in _PARTS.values() for name in names)
        raise InputError(f"{data_dir} has none of {wanted}", field="--data")
    return missing


def run_benchmark(
    config: BenchmarkConfig,
    *,
    progress: Progress,
    report: Path = REPORT,
    sides: Mapping[str, tuple[Maker, ...]] | None = None,
) -> Benchmark:
    """Measure what the data folder allows, write the report with its plots and return the benchmark.

    sides : what makes the sections of each side, one after the other; sides run beside each other
    The report and plots that were there before stay whole until everything is measured.
    Raises InputError when the folder has nothing to measure on, JobFailedError when a side fails.
    """
    missing = missing_parts(config.data_dir)
    for part in missing:
        progress(f"{config.data_dir} lacks {part}: left out")
    with tempfile.TemporaryDirectory() as scratch:
        there = replace(config, plots_dir=Path(scratch) / "plots", parts_dir=Path(scratch))
        there.plots_dir.mkdir()
        chosen = sides or SIDES
        run_side_by_side({name: _Side(there, name, makers) for name, makers in chosen.items()}, progress=progress)
        sections = [one for name in chosen for one in read_sections(there.parts_dir / f"{name}.json")]
        benchmark = Benchmark(sections, missing)
        shutil.rmtree(config.plots_dir, ignore_errors=True)
        shutil.copytree(there.plots_dir, config.plots_dir)
    version = verified_manifest(config.weights_dir).model_version
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_report(benchmark, version=version, config=config), encoding="utf-8")
    return benchmark


@dataclass(frozen=True)
class _Side:
    """Sections made one after the other, written as one file of the side's name."""

    config: BenchmarkConfig
    name: str
    makers: tuple[Maker, ...]

    def __call__(self, progress: Progress) -> None:
        sections = [one for make in self.makers for one in make(self.config, progress)]
        write_sections(sections, self.config.parts_dir / f"{self.name}.json")


def _report(benchmark: Benchmark, *, version: str, config: BenchmarkConfig) -> str:
    blocks = [_INTRO.format(version=version, ruled_on=config.ruled_on)]
    if benchmark.missing:
        blocks.append(f"Left out, because the data folder lacks it: {', '.join(benchmark.missing)}.\n")
    return "\n".join([*blocks, *(section.markdown() + "\n" for section in benchmark.sections)])
