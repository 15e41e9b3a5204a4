"""The command that tells whether cases drift away from what the model was made for. Wires options and output only."""

from typing import Annotated

import typer

from models.drift import ALARMED
from serving.cli_wiring import console, open_house, reported

_AGAINST = {
    "training": "its training cases",
    "first_live": "the first {n} that it scored here: it brings no reference of its training",
}


def drift(as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False) -> None:
    """Test the newest cases against the model's reference. Leaves with code 3 when there is an alarm, for cron."""
    with reported():
        report = open_house().drift.report()
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
        elif report.reference is None:
            _say("no case has been scored yet")
        elif report.n_missing:
            _say(f"{report.n_missing} more cases must be scored before anything can be said")
        else:
            against = _AGAINST[report.reference].format(n=report.n_first)
            _say(f"{report.model_version}: the newest {report.n_window} cases against {against}")
            for one in report.features:
                _say(f"{one}" + (", the first that it scored here" if one.against == "first_live" else ""))
                if one.alarmed:
                    _say("  " + (", ".join(f"{case.platform}/{case.case_id}" for case in one.cases) or "hidden cases"))
            _say(f"any alarm without drift: at most {report.level:.0%}")
    if report.alarms:
        raise typer.Exit(ALARMED)


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
