"""`evidence-review score`: a backlog of waiting cases from files into files.

Wires settings, engine and progress; knows nothing of how anything is scored.
"""

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from serving.cli_wiring import errors, read_settings, reported

if TYPE_CHECKING:
    from serving.backlog.summary import Summary

_STOPPED = 130


def score(
    out: Annotated[
        Path, typer.Option(help="Folder for the results; an unfinished run in it goes on.", file_okay=False)
    ],
    backlog: Annotated[
        str | None, typer.Argument(help="JSON Lines or Parquet: a file, a folder, a quoted glob, or the URL of one.")
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Score the database's waiting cases, and store their suggestions there.")
    ] = False,
    photos: Annotated[
        str | None,
        typer.Option(help="Folder or URL that photo paths are relative to; by default each file's own folder."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Workers; by default one a core, of Ray one a CPU of the cluster less one."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="`pool`: processes on this machine; `ray`: actors of a Ray cluster, or of Ray started here."),
    ] = "pool",
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard what an earlier run left in --out.")] = False,
) -> None:
    """Score a backlog of cases. Stopped at any point, the same command goes on where it stopped."""
    if engine not in ("pool", "ray"):
        raise typer.BadParameter(f"{engine!r} is neither `pool` nor `ray`", param_hint="--engine")
    if photos is not None and "://" not in photos and not Path(photos).is_dir():
        raise typer.BadParameter(f"{photos} is not a folder", param_hint="--photos")
    if waiting == (backlog is not None):
        raise typer.BadParameter("give a backlog, or --waiting", param_hint="BACKLOG")
    if waiting and photos is not None:
        raise typer.BadParameter("the database's cases have photos of their own", param_hint="--photos")
    from models.errors import ReviewError
    from serving.backlog.pool import PoolEngine
    from serving.backlog.progress import RunProgress
    from serving.backlog.ray_engine import RayEngine
    from serving.backlog.run import score_backlog
    from serving.backlog.shipped import loader
    from serving.backlog.waiting import hand_back, take_snapshot
    from serving.champion import model_folder

    with reported():
        settings = read_settings()
        load = loader(model_folder(settings), cache_dir=settings.cache_dir)
    store = None
    _listen_to_interrupts()
    try:
        if waiting:
            from serving.store import Store

            store = Store(settings.database_url)
            store.migrate()
            backlog, photos = str(take_snapshot(store, out=out, fresh=fresh)), str(settings.photo_dir)
        made = (
            RayEngine(load, processes=processes)
            if engine == "ray"
            else PoolEngine(load, processes=processes or len(os.sched_getaffinity(0)))
        )
        with RunProgress(errors) as progress, made as workers:
            workers.on_loss = progress.say
            summary = score_backlog(
                str(backlog),
                out=out,
                engine=workers,
                photos_dir=photos,
                fresh=fresh,
                max_line_bytes=settings.max_case_bytes,
                on_progress=progress.show,
            )
        if store is not None:
            back = hand_back(store, out=out)
            errors.print(f"{back.n_kept} suggestions stored, {back.n_changed} cases changed meanwhile and keep waiting")
    except KeyboardInterrupt:
        how = "the same command without --fresh" if fresh else "the same command"
        errors.print(f"stopped; the finished parts are in {escape(str(out))}, and {how} goes on")
        raise typer.Exit(_STOPPED) from None
    except ReviewError as error:
        errors.print(f"[red]{escape(str(error))}[/red]")
        if fresh:
            errors.print("Leave out --fresh to go on: with it the run would begin anew.")
        raise typer.Exit(2) from error
    _tell(summary, out=out)
    typer.echo(str(out / "summary.json"))


def _tell(summary: "Summary", *, out: Path) -> None:
    rate = summary.throughput.cases_per_s
    errors.print(
        f"{summary.n_scored} cases scored by {summary.model_version}"
        + (f" at {rate:.1f} a second" if rate is not None else "")
        + f": {summary.safe} with one ruling left, {summary.n_abstained} without a suggestion."
    )
    if summary.n_lacking_photos:
        errors.print(
            f"[yellow]{summary.n_lacking_photos} cases scored without photos that are absent or damaged; "
            "missing_evidence names them[/yellow]"
        )
    if summary.workers_lost:
        errors.print(f"[yellow]{len(summary.workers_lost)} workers died on the way; summary.json says where[/yellow]")
    if summary.n_refused:
        errors.print(
            f"[yellow]{summary.n_refused} rows refused; {escape(str(out / 'refused.jsonl'))} says why[/yellow]"
        )


def _listen_to_interrupts() -> None:
    """Take an interrupt as one even where a shell started the command in the background, which has it ignored."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
