"""The command that tells whether cases drift away from what the model was made for. Wires options and output only."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from serving.cli_wiring import console, open_house, reported

ALARMED = 3


def drift(as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False) -> None:
    """Test the newest cases against the model's reference. Leaves with code 3 when there is an alarm, for cron."""
    with reported():
        report = open_house().drift.report()
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
        elif report.model_version is None:
            console.print("no case has been scored yet")
        elif report.n_missing:
            console.print(f"{report.n_missing} more cases must be scored before anything can be said")
        else:
            origin = "before the model went to work" if report.reference == "before" else "that it scored first here"
            console.print(f"{report.model_version}: the newest {report.n_window} cases")
            console.print(f"what comes in: against the {report.n_reference} cases {origin}")
            console.print(
                f"what it makes of them: against the first {report.n_first} that it scored here (0: too few yet)"
            )
            console.print(f"any alarm without drift: at most {report.level:.0%}")
            table = Table("feature", "reference", "now", "p", "cases that show it")
            for one in report.features:
                name = f"{one.feature} {one.category}" if one.category else one.feature
                cases = ", ".join(f"{case.platform}/{case.case_id}" for case in one.cases) if one.alarmed else ""
                shown = name + (" DRIFT" if one.alarmed else "")
                table.add_row(escape(shown), f"{one.before:.3g}", f"{one.now:.3g}", f"{one.p_value:.2g}", escape(cases))
            console.print(table)
    if report.alarms:
        raise typer.Exit(ALARMED)
