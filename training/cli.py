"""`evidence-train`: fit, evaluate and describe the models from the command line.

Wires folders and progress; knows nothing of how anything is learned.
"""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from training.cli_outcomes import drift, import_outcomes, models, promote, refreeze, retrain, rollback
from training.terminal import console, reported

if TYPE_CHECKING:
    from training.evaluate import Evaluation

app = typer.Typer(help="Fit and measure the models.", no_args_is_help=True, pretty_exceptions_enable=False)
for command in (import_outcomes, retrain, refreeze, promote, rollback, models, drift):
    app.command()(command)

DataDir = Annotated[Path, typer.Option("--data", help="Folder with photos, texts and cases.", file_okay=False)]
ModelDir = Annotated[Path | None, typer.Option("--model", help="Model folder; the shipped one by default.")]
CacheDir = Annotated[Path | None, typer.Option("--cache", help="Where prepared encoders are kept.")]
PARTS = "chat,damage,listing,ruling"
N_SIMULATED = 20_000


@app.command()
def fit(
    data: DataDir,
    model: ModelDir = None,
    cache: CacheDir = None,
    parts: Annotated[str, typer.Option(help="Comma-separated parts to fit; the others are kept.")] = PARTS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on one machine.")] = 20250815,
) -> None:
    """Rebuild the weights and write the model card."""
    from models.registry import load_suggester
    from training.config import TrainingConfig
    from training.evaluate import evaluate as measure
    from training.fit import fit_all
    from training.model_card import write_model_card

    wanted = tuple(part.strip() for part in parts.split(",") if part.strip())
    unknown = set(wanted) - set(PARTS.split(","))
    if unknown:
        raise typer.BadParameter(f"unknown parts: {', '.join(sorted(unknown))}", param_hint="--parts")
    config = TrainingConfig(data_dir=_existing(data), weights_dir=_model(model), cache_dir=_cache(cache), seed=seed)
    with reported():
        version = fit_all(config, parts=wanted, progress=console.print)
        console.print(f"model {version} in {config.weights_dir}; measuring it ...")
        evaluation = measure(
            load_suggester(config.weights_dir, cache_dir=config.cache_dir),
            data_dir=config.data_dir,
            datasets_dir=config.datasets_dir,
            weights_dir=config.weights_dir,
            cache_dir=config.cache_dir,
            ruled_on=_today(),
            n_simulated=N_SIMULATED,
            progress=_dim,
        )
    _print(evaluation)
    if model is None:
        write_model_card(evaluation, version=version)


@app.command()
def evaluate(
    data: DataDir,
    model: ModelDir = None,
    cache: CacheDir = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    baselines: Annotated[bool, typer.Option(help="Also fit and measure the simple baselines.")] = True,
    simulated: Annotated[int, typer.Option(help="Also measure on this many simulated cases.", min=0)] = 0,
    ruled_on: Annotated[str | None, typer.Option(help="Day of ruling, YYYY-MM-DD; today by default.")] = None,
    card: Annotated[bool, typer.Option("--card", help="Also write docs/model-card.md.")] = False,
) -> None:
    """Measure every figure that the data allows, with 95 % bootstrap intervals."""
    from models.registry import load_suggester
    from training.config import DATASETS_DIR
    from training.evaluate import evaluate as measure
    from training.evaluate import write_evaluation
    from training.model_card import write_model_card

    day = date.fromisoformat(ruled_on) if ruled_on else _today()
    folder = _model(model)
    with reported():
        suggester = load_suggester(folder, cache_dir=_cache(cache))
        evaluation = measure(
            suggester,
            data_dir=_existing(data),
            datasets_dir=DATASETS_DIR,
            weights_dir=folder,
            cache_dir=_cache(cache),
            ruled_on=day,
            baselines=baselines,
            n_simulated=simulated,
            progress=_dim,
        )
    _print(evaluation)
    if json_file is not None:
        write_evaluation(evaluation, json_file)
    if card:
        write_model_card(evaluation, version=suggester.model_version)


@app.command()
def benchmark(
    data: DataDir,
    model: ModelDir = None,
    cache: CacheDir = None,
    simulated: Annotated[int, typer.Option(help="Simulated disputes to measure on.", min=200)] = N_SIMULATED,
    ruled_on: Annotated[str | None, typer.Option(help="Day of ruling, YYYY-MM-DD; today by default.")] = None,
) -> None:
    """Measure everything: docs/benchmark.md with plots, the model card, reports/ with the worst mistakes."""
    from models.registry import verified_manifest
    from training.benchmark import REPORT, run_benchmark
    from training.benchmark_section import BenchmarkConfig
    from training.config import DATASETS_DIR
    from training.model_card import write_model_card

    config = BenchmarkConfig(
        data_dir=_existing(data),
        datasets_dir=DATASETS_DIR,
        weights_dir=_model(model),
        cache_dir=_cache(cache),
        plots_dir=REPORT.with_suffix(""),
        parts_dir=REPORT.parent,
        reports_dir=REPORT.parent.parent / "reports",
        ruled_on=date.fromisoformat(ruled_on) if ruled_on else _today(),
        n_simulated=simulated,
    )
    started = datetime.now(UTC)
    with reported():
        measured = run_benchmark(config, progress=lambda line: console.print(line, style="dim", markup=False))
        if model is None:
            write_model_card(measured.evaluation, version=verified_manifest(config.weights_dir).model_version)
    _print(measured.evaluation)
    minutes = (datetime.now(UTC) - started).total_seconds() / 60
    console.print(f"{REPORT} and {config.reports_dir}/ written in {minutes:.0f} min")


@app.command()
def loop(
    model: ModelDir = None,
    years: Annotated[int, typer.Option(help="Simulated years.", min=1)] = 2,
    cases: Annotated[int, typer.Option(help="Cases a month.", min=100)] = 400,
    workers: Annotated[int, typer.Option(help="Years lived through at a time.", min=1)] = 2,
    out: Annotated[Path, typer.Option(help="The page; its plots lie in a folder of its name.")] = Path(
        "docs/retraining-year.md"
    ),
) -> None:
    """Simulate years of deciding and monthly retraining, with and without each safeguard, and write what each buys."""
    from training.docket import Year
    from training.year_report import live_years, write_page

    started = datetime.now(UTC)
    with reported():
        lived = live_years(
            Year(cases_a_month=cases),
            n_years=years,
            weights_dir=_model(model),
            workers=workers,
            progress=lambda line: console.print(line, style="dim", markup=False),
        )
        write_page(lived, out)
    console.print(f"{out} written in {(datetime.now(UTC) - started).total_seconds() / 60:.0f} min")


@app.command()
def sensitivity(
    model: ModelDir = None,
    n_cases: Annotated[int, typer.Option("--cases", help="Simulated cases a row.", min=100)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the simulated cases.")] = 7,
) -> None:
    """Print how the figures on simulated cases move with each assumption of the simulator, as Markdown."""
    from models.ruling import RulingClassifier
    from training.photo_errors import load_photo_errors
    from training.sensitivity import measure_sensitivity, sensitivity_table
    from training.statement_pool import load_pool

    folder = _model(model)
    with reported():
        rows = measure_sensitivity(
            RulingClassifier.load(folder / "ruling"),
            pool=load_pool(folder / "chat" / "pool.json"),
            photo_errors=load_photo_errors(folder),
            n_cases=n_cases,
            seed=seed,
            progress=Console(stderr=True).print,
        )
    typer.echo(sensitivity_table(rows))


@app.command()
def privacy(
    split: Annotated[str, typer.Option(help="dev (may be looked at) or test.")] = "test",
    fresh: Annotated[bool, typer.Option("--fresh", help="The lines written after the masker, unseen.")] = False,
    misses: Annotated[
        bool, typer.Option("--misses", help="Also list what was missed and what was masked wrongly.")
    ] = False,
) -> None:
    """Measure the masking of personal data on the lines written before it, or on fresh ones."""
    from training.config import DATASETS_DIR
    from training.evaluate_privacy import measure_privacy, privacy_table, read_lines

    if split not in ("dev", "test"):
        raise typer.BadParameter("must be dev or test", param_hint="--split")
    lines = read_lines(DATASETS_DIR / "privacy" / ("fresh.jsonl" if fresh else "lines.jsonl"))
    figures = measure_privacy([line for line in lines if line.split == split])
    console.print(privacy_table(figures), markup=False, soft_wrap=True)
    if misses:
        for what, found in (("missed", figures.missed), ("masked wrongly", figures.false_alarms)):
            for line_id, said in found:
                console.print(f"{what} {line_id}: {said}", markup=False, soft_wrap=True)


@app.command()
def fingerprints(
    data: DataDir,
    n_asked: Annotated[int, typer.Option("--photos", help="Photos changed and looked up.", min=1)] = 120,
) -> None:
    """Measure how well a photo is known again after cropping, mirroring and recompression."""
    from training.evaluate_fingerprint import fingerprint_table, measure_fingerprints

    figures = measure_fingerprints(_existing(data), n_asked=n_asked, progress=_dim)
    console.print(f"{figures.n_indexed} photos in the index", markup=False)
    console.print(fingerprint_table(figures), markup=False, soft_wrap=True)


@app.command()
def schema(out: Annotated[Path, typer.Option(help="Folder for the JSON Schemas.")]) -> None:
    """Write the JSON Schemas of the intake format, the suggestion and the outcome."""
    from models.domain import Case, Outcome, Suggestion
    from models.truth import PhotoTruth, StatementTruth

    out.mkdir(parents=True, exist_ok=True)
    for kind in (Case, Suggestion, Outcome, StatementTruth, PhotoTruth):
        text = json.dumps(kind.model_json_schema(), indent=1, ensure_ascii=False, sort_keys=True)
        (out / f"{kind.__name__.lower()}.json").write_text(text + "\n", encoding="utf-8")


@app.command()
def manifest() -> None:
    """Rewrite datasets/manifest.json: digest, rows, origin and licence of each data file."""
    from training.config import DATASETS_DIR
    from training.manifest import write_manifest

    write_manifest(DATASETS_DIR)


def _print(evaluation: "Evaluation") -> None:
    table = Table("figure", "value", "95 % interval", "n", "photos")
    for name, figure in evaluation.named():
        interval = f"{figure.low:.3f} to {figure.high:.3f}"
        table.add_row(name, f"{figure.value:.3f}", interval, str(figure.n), figure.photos or "")
    console.print(table)


def _dim(message: str) -> None:
    console.print(f"measuring {message} ...", style="dim")


def _today() -> date:
    return datetime.now(UTC).date()


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder", param_hint="--data")
    return folder


def _model(folder: Path | None) -> Path:
    from models.registry import SHIPPED_DIR

    return folder or SHIPPED_DIR


def _cache(folder: Path | None) -> Path:
    from models.encoders import default_cache_dir

    return folder or default_cache_dir()
