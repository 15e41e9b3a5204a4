"""The commands of `evidence-train` about outcomes: import, retrain, refreeze, promote, rollback, models, drift.

Wires options and progress; holds no rules.
"""

import getpass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, overload

import typer
from rich.table import Table

from models.drift import ALARMED, LEVEL
from models.errors import InputError
from training.config import SEED
from training.terminal import console, reported

if TYPE_CHECKING:
    from training.drift_check import Found
    from training.tracking import Tracking

Registry = Annotated[
    str,
    typer.Option(help="MLflow tracking address.", envvar="EVIDENCE_REVIEW_REGISTRY_URI"),
]
WorkDir = Annotated[
    Path, typer.Option("--work", help="Folder of artifacts, fetched models and the lock.", file_okay=False)
]
CacheDir = Annotated[Path | None, typer.Option("--cache", help="Where prepared encoders are kept.")]
Outcomes = Annotated[
    list[Path], typer.Option(help="A folder of outcomes, or the folder that holds them; may be given again.")
]
By = Annotated[str | None, typer.Option(help="Who answers for it; default: the system user.")]
Since = Annotated[
    str | None,
    typer.Option(help="Use outcomes decided on this day (YYYY-MM-DD, UTC) or later; default: as the hold-out says."),
]
DEFAULT_REGISTRY = "sqlite:///var/mlflow/registry.db"
DEFAULT_WORK = Path("var/mlflow")


def import_outcomes(
    table: Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet, one outcome a row.")],
    cases: Annotated[Path, typer.Option(help="The cases, JSON Lines in the intake format.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML: which column and which value is what.")] = None,
    photos: Annotated[Path | None, typer.Option(help="Photos folder; default: the cases' own.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the snapshot.")] = Path("datasets/outcomes"),
) -> None:
    """Take outcomes that were decided elsewhere; each refused row is reported with its place and reason."""
    from training.import_outcomes import import_outcomes as run

    with reported():
        done = run(table, cases=cases, mapping=mapping, directory=out, photos=photos)
        for one in done.refused:
            _say(f"row {one.line} ({one.case_id or 'no case_id'}): {one.reason}")
        _say(f"{done.n_taken} taken, {len(done.refused)} refused ({out / 'refused.jsonl'})")
        _say(str(done.folder))


def retrain(
    outcomes: Outcomes,
    registry: Registry = DEFAULT_REGISTRY,
    work: WorkDir = DEFAULT_WORK,
    by: By = None,
    cache: CacheDir = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated cases.")] = 20250815,
    simulated: Annotated[int, typer.Option(help="Simulated cases learned from besides.", min=300)] = 12_000,
    since: Since = None,
    fine_tune_encoder: Annotated[
        bool, typer.Option("--fine-tune-encoder", help="Also tune the whole text encoder, where the machine allows it.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="How long tuning the encoder may take.", min=0)] = 120,
) -> None:
    """Train a challenger on outcomes, judge it against the champion and register it. Nothing is promoted."""
    from models.encoders import default_cache_dir
    from training.retrain import Retraining
    from training.retrain import retrain as run

    with reported():
        done = run(
            Retraining(
                snapshots=tuple(folder for given in outcomes for folder in _snapshots(given)),
                tracking=_tracking(registry, work),
                work_dir=work,
                cache_dir=cache or default_cache_dir(),
                by=by or getpass.getuser(),
                seed=seed,
                n_simulated=simulated,
                since=_day(since),
                tune_minutes=minutes if fine_tune_encoder else None,
            ),
            progress=_say,
        )
    verdict = done.verdict
    _say(f"model {done.model.number} ({done.model.model_version}), calibrated on {done.calibrated_on} cases")
    if verdict.passed:
        _say(
            f"passed the gate on {verdict.n_gold} cases; `evidence-train promote {done.model.number}` makes it champion"
        )
    else:
        _say("refused by the gate: " + "; ".join(verdict.reasons))


def refreeze(
    outcomes: Outcomes,
    since: Annotated[str, typer.Option(help="Day of the change, YYYY-MM-DD (UTC).")],
    reason: Annotated[str, typer.Option(help="What changed.")],
    registry: Registry = DEFAULT_REGISTRY,
    work: WorkDir = DEFAULT_WORK,
    by: By = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 20250815,
) -> None:
    """Draw the frozen hold-out anew after a change of rules; later retrainings use outcomes since that day only."""
    from training.hold_out import refreeze as run

    day = _day(since)
    with reported():
        drawn = run(
            [folder for given in outcomes for folder in _snapshots(given)],
            tracking=_tracking(registry, work),
            work_dir=work,
            since=day,
            by=by or getpass.getuser(),
            reason=reason,
            seed=seed,
        )
        _say(f"{len(drawn.keys)} cases decided since {drawn.since} judge from now on, by {drawn.by}: {drawn.reason}")


def promote(
    number: Annotated[int, typer.Argument(help="The model's number in the registry.")],
    registry: Registry = DEFAULT_REGISTRY,
    work: WorkDir = DEFAULT_WORK,
    by: By = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Make a model that passed the gate the champion. The service takes it up by itself."""
    with reported():
        moved = _tracking(registry, work).registry.promote(number, by=by or getpass.getuser(), reason=reason)
        _say(f"champion: model {moved.to_number} instead of {moved.from_number}, by {moved.by}")


def rollback(
    registry: Registry = DEFAULT_REGISTRY,
    work: WorkDir = DEFAULT_WORK,
    by: By = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Make the champion before this one champion again."""
    with reported():
        moved = _tracking(registry, work).registry.rollback(by=by or getpass.getuser(), reason=reason)
        _say(f"champion: model {moved.to_number} again instead of {moved.from_number}, by {moved.by}")


def models(registry: Registry = DEFAULT_REGISTRY, work: WorkDir = DEFAULT_WORK) -> None:
    """Show champion and challenger, and who promoted what."""
    with reported():
        known = _tracking(registry, work).registry
        for alias in ("champion", "challenger"):
            model = known.named(alias)
            _say(f"{alias}: " + (f"model {model.number} ({model.model_version})" if model else "none"))
        table = Table("at", "by", "action", "from", "to", "reason")
        for entry in known.promotions():
            old = str(entry.from_number) if entry.from_number else ""
            table.add_row(f"{entry.at:%Y-%m-%d %H:%M}", entry.by, entry.action, old, str(entry.to_number), entry.reason)
        console.print(table)
        if known.named("champion") is None:
            return
        for drawn in _tracking(registry, work).hold_outs():
            _say(f"hold-out of {len(drawn.keys)} cases, {drawn.at:%Y-%m-%d}, by {drawn.by}: {drawn.reason}")


def drift(
    outcomes: Outcomes = [],  # noqa: B006  typer copies it
    model: Annotated[Path | None, typer.Option(help="Model folder; default: the registry's champion.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Cases decided on this day (YYYY-MM-DD, UTC) or later; default: since training.")
    ] = None,
    simulate: Annotated[
        int, typer.Option(help="Instead, try the tests on so many simulated windows and print the table.", min=0)
    ] = 0,
    registry: Registry = DEFAULT_REGISTRY,
    work: WorkDir = DEFAULT_WORK,
    cache: CacheDir = None,
) -> None:
    """Test the newest outcomes against what the model learned from. Leaves with code 3 when there is an alarm."""
    from training.drift_trials import REFERENCES, trials_table, try_drift

    if simulate:
        planted = max(1, simulate // 30)
        tried = [try_drift(simulate, n_planted=planted, n_reference=n, seed=SEED) for n in REFERENCES]
        typer.echo(trials_table(tried))
        return
    if not outcomes:
        raise typer.BadParameter("is needed, or --simulate", param_hint="--outcomes")
    with reported():
        found = _drift(outcomes, model or _champion_folder(registry, work), since=_day(since), cache=cache)
        for one in found:
            _say(str(one.drift))
            if one.drift.alarmed:
                _say("  " + ", ".join(one.keys))
        _say(f"any alarm without drift: at most {LEVEL:.0%}")
    if any(one.drift.alarmed for one in found):
        raise typer.Exit(ALARMED)


def _drift(outcomes: list[Path], folder: Path, *, since: date | None, cache: Path | None) -> "list[Found]":
    from models.drift_reference import read_reference
    from models.encoders import default_cache_dir
    from models.registry import load_suggester, verified_manifest
    from training.drift_check import check_drift
    from training.hold_out import decided_since
    from training.snapshot import read_snapshots

    made, reference = verified_manifest(folder), read_reference(folder)
    if reference is None:
        raise InputError(f"brings no reference: {made.model_version} wasn't made from outcomes", field="model")
    day = since or made.trained_at.date()
    _say(f"{made.model_version}: cases decided since {day} against its training cases")
    decided = decided_since(read_snapshots([each for given in outcomes for each in _snapshots(given)]), day)
    suggester = load_suggester(folder, cache_dir=cache or default_cache_dir())
    return check_drift(suggester, reference, decided, progress=_say)


def _champion_folder(registry: str, work: Path) -> Path:
    from models.registry import SHIPPED_DIR

    known = _tracking(registry, work).registry
    champion = known.named("champion")
    return known.fetch(champion, work / "models") if champion is not None else SHIPPED_DIR


def _tracking(uri: str, work: Path) -> "Tracking":
    from training.tracking import Tracking

    return Tracking(uri, artifact_dir=work / "artifacts")


@overload
def _day(given: str) -> date: ...


@overload
def _day(given: None) -> None: ...


def _day(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is no day like 2026-03-01", param_hint="--since") from error


def _snapshots(folder: Path) -> list[Path]:
    """Return the folder itself if it is a snapshot, else those in it. Raises InputError where there is none."""
    if (folder / "manifest.json").is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/manifest.json")) if folder.is_dir() else []
    if not found:
        raise InputError("holds no exported outcomes", field=str(folder))
    return found


def _say(message: str) -> None:
    console.print(message, markup=False, soft_wrap=True)
