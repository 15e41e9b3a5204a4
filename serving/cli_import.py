"""`evidence-review import`: cases out of the platforms' own formats. Wires files; knows nothing of the formats."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

importing = typer.Typer(help="Make cases of the intake format out of a platform's own.", no_args_is_help=True)


@importing.callback()
def _group() -> None:
    """Keep `taobao` a command of its own though it is the only one."""


@importing.command()
def taobao(
    file: Annotated[
        Path, typer.Argument(help="Refunds as the open platform gives them: .json, or .jsonl with one a line.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for cases.jsonl and refused.jsonl.", file_okay=False)],
) -> None:
    """Make cases of Taobao refunds that wait for the platform's ruling; report every other one with its reason."""
    from models.errors import ReviewError
    from models.privacy import mask
    from serving.taobao import import_refunds

    console = Console(stderr=True)
    n_cases = n_refused = 0
    unfinished = [out / ".new-cases.jsonl", out / ".new-refused.jsonl"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with unfinished[0].open("w", encoding="utf-8") as cases, unfinished[1].open("w", encoding="utf-8") as refused:
            for found in import_refunds(file):
                if found.case is not None:
                    n_cases += 1
                    cases.write(found.case.model_dump_json() + "\n")
                else:
                    n_refused += 1
                    row = {"line": found.place, "case_id": found.case_id, "reason": mask(found.reason or "")}
                    refused.write(json.dumps(row, ensure_ascii=False) + "\n")
            for written in (cases, refused):
                written.flush()
                os.fsync(written.fileno())
        for path in unfinished:
            path.replace(path.with_name(path.name.removeprefix(".new-")))
    except (ReviewError, OSError) as error:
        for path in unfinished:
            path.unlink(missing_ok=True)
        said = f"{error.filename or file}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        console.print(f"[red]{escape(said)}[/red]", soft_wrap=True)
        raise typer.Exit(2) from error
    console.print(
        f"cases: {n_cases}; refunds that are none: {n_refused}; {escape(str(out / 'refused.jsonl'))} says why"
    )
    typer.echo(str(out / "cases.jsonl"))
