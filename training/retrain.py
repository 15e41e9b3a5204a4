"""A retraining, whole: outcomes in, a challenger judged against the champion and registered, nothing promoted.

Everything happens in one tracked run under one lock. Whatever fails, the champion stays and the run says why. Knows the
order of things; how to split, learn and judge is known elsewhere.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from models.case_file import CaseFile
from models.drift import Reference
from models.drift_reference import write_reference
from models.errors import InputError
from models.evidence import CaseEvidence
from models.golden import write_golden
from models.registry import SHIPPED_DIR, RegisteredModel, load_suggester, verified_manifest, write_manifest
from models.suggester import CalibratedOn, Suggester
from training.behaviour import failed_behaviour
from training.config import DATASETS_DIR, SEED
from training.fine_tune import Allowance, fine_tune, free_memory
from training.fit_rulings import ruling_table
from training.gate import Verdict, answers, judge
from training.gate_report import learning_curve, write_report
from training.hold_out import LOCK_NAME, decided_since, draw_hold_out
from training.model_reference import training_reference
from training.outcome_table import outcome_table
from training.photo_errors import load_photo_errors
from training.readings import Readings, Tune, refit_readings, sample_files, sample_labels
from training.refit_rulings import Refit, refit_rulings, refuse_what_teaches_nothing
from training.simulate import SimulatedCase, simulate
from training.snapshot import DecidedCase, read_snapshots
from training.splits import split
from training.statement_pool import load_pool
from training.suspects import suspects
from training.tracking import Run, Tracking, only_one

_CHUNK = 32
_BEHAVIOUR_SEED = 990_001
Progress = Callable[[str], None]
Loads = Callable[[Path], Suggester]


@dataclass(frozen=True)
class Retraining:
    """What a retraining is given.

    snapshots : folders of outcomes; work_dir : for the lock and fetched models; n_simulated : cases simulated besides
    n_behaviour : simulated cases that the behaviour tests run on
    tune_minutes : how long tuning the whole text encoder may take; None: it isn't tuned
    since : outcomes decided before this day (UTC) are not used; default: as the hold-out in force says
    load : turns a model folder into a Suggester; default: `load_suggester`
    """

    snapshots: tuple[Path, ...]
    tracking: Tracking
    work_dir: Path
    cache_dir: Path
    by: str
    seed: int = SEED
    n_simulated: int = 32_000
    n_behaviour: int = 300
    since: date | None = None
    tune_minutes: float | None = None
    datasets_dir: Path = DATASETS_DIR
    load: Loads | None = field(default=None, compare=False)

    def suggester(self, folder: Path) -> Suggester:
        return self.load(folder) if self.load else load_suggester(folder, cache_dir=self.cache_dir)


@dataclass(frozen=True)
class Retrained:
    """What came of it. model : the registered challenger"""

    model: RegisteredModel
    verdict: Verdict
    counts: dict[str, int]
    calibrated_on: CalibratedOn


def retrain(given: Retraining, *, progress: Progress = print) -> Retrained:
    """Train, judge and register a challenger.

    It becomes `ruling@challenger`, which scores beside the champion, if it passes the gate. Raises InputError on
    outcomes that can't be used, RegistryError when the registry is away or another retraining runs.
    """
    with only_one(given.work_dir / LOCK_NAME):
        abandoned = given.tracking.fail_abandoned()
        if abandoned:
            progress(f"marked {abandoned} abandoned run(s) failed")
        with given.tracking.run("retrain", by=given.by) as run, tempfile.TemporaryDirectory() as scratch:
            try:
                return _retrain(given, run, Path(scratch), progress)
            except Exception:
                progress(f"failed (run {run.run_id}); the champion stays")
                raise


def _retrain(given: Retraining, run: Run, scratch: Path, progress: Progress) -> Retrained:
    decided = _outcomes(given, run, progress)
    champion_model = _champion(given, progress)
    champion_dir = given.tracking.registry.fetch(champion_model, given.work_dir / "models")
    champion = given.suggester(champion_dir)
    run.note({"champion": champion_model.number, "seed": given.seed, "by": given.by})
    splits = split(decided, frozen_keys=_frozen(given, run, decided, scratch))
    counts = splits.counts()
    run.measure({f"split.{name}": count for name, count in counts.items()})
    progress(", ".join(f"{name} {count}" for name, count in counts.items() if count))
    readings = refit_readings(
        champion,
        [decided[place] for place in splits.teach],
        readers=lambda: sample_labels(given.datasets_dir),
        seed=given.seed,
        progress=progress,
        tune=_tuner(given, [decided[place] for place in splits.teach], progress),
    )
    reader = readings.suggester
    evidence = _scored(champion, decided, progress)
    table = taught = outcome_table(champion, decided, evidence)
    if readings.changed:
        evidence = _scored(reader, decided, progress)
        taught = outcome_table(reader, decided, evidence)
    teaching, calibrating = taught.rows(splits.teach), taught.rows(splits.calibrate)
    refuse_what_teaches_nothing(teaching)
    progress(f"simulating {given.n_simulated} cases ...")
    cases = _simulated(given, champion_dir, given.n_simulated, seed=given.seed)
    simulated = ruling_table(cases)
    progress("fitting the ruling model ...")
    refit = refit_rulings(teaching, calibrating, simulated=simulated, like=champion.ruling, seed=given.seed)
    folder = _write_challenger(
        given,
        refit,
        readings,
        champion_dir,
        scratch / "model",
        reference=lambda model: training_reference(model, decided, evidence, taught=splits.teach),
    )
    challenger = given.suggester(folder)
    progress("judging challenger against champion ...")
    behaviour = failed_behaviour(
        challenger, _simulated(given, champion_dir, given.n_behaviour, seed=given.seed + _BEHAVIOUR_SEED)
    )
    judged = table.to_judge(frozen=splits.frozen, newest=splits.newest)
    old = answers(champion.ruling, judged.X)
    new = answers(challenger.ruling, taught.rows(splits.judged).X)
    verdict = judge(judged, old, new, failed_behaviour=behaviour, seed=given.seed)
    report = scratch / "report"
    report.mkdir()
    doubtful = suspects(
        teaching,
        [decided[place].provenance for place in splits.teach],
        classifier=champion.ruling,
        seed=given.seed,
        simulated=simulated,
    )
    _write_json_lines(report / "suspects.jsonl", [asdict(one) for one in doubtful])
    curve = learning_curve(
        teaching, calibrating, taught.rows(splits.judged), simulated=simulated, like=champion.ruling, seed=given.seed
    )
    write_report(
        report,
        verdict=verdict,
        judged=judged,
        champion=old,
        challenger=new,
        curve=curve,
        counts=counts,
        doubtful=doubtful,
        names=(champion.model_version, challenger.model_version),
        calibrated_on=refit.calibrated_on,
        readings=readings.parts,
    )
    run.keep(report)
    model = _registered(given, run, folder, verdict, judged_against=champion_model.number)
    return Retrained(model, verdict, counts, refit.calibrated_on)


def _outcomes(given: Retraining, run: Run, progress: Progress) -> list[DecidedCase]:
    """Raises InputError when none counts."""
    progress("reading outcomes ...")
    since = _since(given)
    decided = decided_since(read_snapshots(given.snapshots), since)
    run.note({"snapshots": ", ".join(folder.name for folder in given.snapshots), "n_outcomes": len(decided)})
    if since is not None:
        run.note({"since": since})
        progress(f"{len(decided)} outcomes since {since}")
    if not decided:
        raise InputError(f"hold no decided case{f' since {since}' if since else ''}", field="outcomes")
    return decided


def _registered(given: Retraining, run: Run, folder: Path, verdict: Verdict, *, judged_against: int) -> RegisteredModel:
    """Register the challenger with what the gate said; only one that passed may become champion."""
    run.measure(
        {"gate.passed": float(verdict.passed), "gate.certainty": verdict.certainty, "gate.n_gold": verdict.n_gold}
    )
    for one in verdict.overall:
        run.measure({f"champion.{one.name}": one.champion, f"challenger.{one.name}": one.challenger})
    passed_against = judged_against if verdict.passed else None
    model = given.tracking.registry.register(folder, run_id=run.run_id, gate_passed_against=passed_against)
    if verdict.passed:
        given.tracking.registry.set_challenger(model.number)
    return model


def _champion(given: Retraining, progress: Progress) -> RegisteredModel:
    """Return the champion; on an empty registry the shipped model becomes it."""
    registry = given.tracking.registry
    champion = registry.named("champion")
    if champion is not None:
        return champion
    progress("registering the shipped model as the first champion ...")
    with given.tracking.run("first champion", by=given.by) as run, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        shutil.copytree(SHIPPED_DIR, folder)
        _finish(given, folder, calibrated_on="simulated")
        model = registry.register(folder, run_id=run.run_id)
        registry.crown_first(model.number, by=given.by)
    return model


def _frozen(given: Retraining, run: Run, decided: Sequence[DecidedCase], scratch: Path) -> frozenset[str]:
    """Return the hold-out in force; the first one is drawn as soon as there are enough gold cases."""
    drawn = given.tracking.hold_outs()
    if drawn:
        return drawn[-1].keys
    keys = draw_hold_out(decided, seed=given.seed)
    if keys:
        run.freeze(keys, scratch=scratch, reason="first hold-out", since=given.since)
    return keys


def _since(given: Retraining) -> date | None:
    """Return from which day on outcomes count: as asked for, else as the hold-out in force says."""
    drawn = given.tracking.hold_outs() if given.since is None else []
    return drawn[-1].since if drawn else given.since


def _scored(suggester: Suggester, decided: Sequence[DecidedCase], progress: Progress) -> list[CaseEvidence]:
    evidence: list[CaseEvidence] = []
    for start in range(0, len(decided), _CHUNK):
        evidence += suggester.scorer.score([one.file for one in decided[start : start + _CHUNK]])
        progress(f"scored {len(evidence)} of {len(decided)} cases")
    return evidence


def _simulated(given: Retraining, folder: Path, n_cases: int, *, seed: int) -> list[SimulatedCase]:
    pool, errors = load_pool(folder / "chat" / "pool.json"), load_photo_errors(folder)
    return simulate(n_cases, pool=pool, photo_errors=errors, seed=seed)


def _tuner(given: Retraining, teaching: Sequence[DecidedCase], progress: Progress) -> Tune | None:
    if given.tune_minutes is None:
        return None
    allowance = Allowance(free_memory(), given.tune_minutes)
    return lambda chat: fine_tune(
        chat,
        teaching,
        datasets_dir=given.datasets_dir,
        cache_dir=given.cache_dir,
        allowance=allowance,
        threads=os.cpu_count() or 1,
        progress=progress,
    )


def _write_challenger(
    given: Retraining,
    refit: Refit,
    readings: Readings,
    champion_dir: Path,
    out: Path,
    *,
    reference: Callable[[Suggester], Reference],
) -> Path:
    """Write a whole model folder: the champion's with what was learned in its place, golden cases and a reference."""
    shutil.copytree(champion_dir, out)
    readings.save(out)
    refit.classifier.save(out / "ruling")
    learned = verified_manifest(champion_dir).learned
    learned |= {part: readings.parts[part].learned for part in readings.changed}
    learned["ruling"] = {"outcomes": refit.n_taught}
    _finish(given, out, calibrated_on=refit.calibrated_on, learned=learned, reference=reference)
    return out


def _finish(
    given: Retraining,
    folder: Path,
    *,
    calibrated_on: CalibratedOn,
    learned: Mapping[str, dict[str, int]] | None = None,
    reference: Callable[[Suggester], Reference] | None = None,
) -> None:
    """Add what only the whole model can say, and pin every file."""
    now = datetime.now(UTC)
    write_manifest(folder, calibrated_on=calibrated_on, trained_at=now, learned=learned)
    made = given.suggester(folder)
    write_golden(made, golden_files(given.datasets_dir / "samples"), folder, ruled_on=now)
    if reference is not None:
        write_reference(reference(made), folder)
    write_manifest(folder, calibrated_on=calibrated_on, trained_at=now, learned=learned)


def golden_files(samples: Path, *, n_cases: int = 6) -> list[CaseFile]:
    """Return sample cases of different claims, with their photos."""
    first_of = {file.case.claim: file for file in reversed(sample_files(samples))}
    return list(first_of.values())[:n_cases]


def _write_json_lines(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
