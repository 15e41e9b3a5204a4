"""`evidence-review outbox`: what waits to leave, and what was given up."""

import typer

from serving.cli_wiring import console, open_house, operator, reported

commands = typer.Typer(help="Messages on their way to the webhook.", no_args_is_help=True)


@commands.command("status")
def status() -> None:
    """Say how many messages wait, were delivered, were given up."""
    with reported():
        for state, n_messages in open_house().store.outbox.counts().items():
            console.print(f"{state}: {n_messages}", markup=False)


@commands.command("retry")
def retry() -> None:
    """Let every message that was given up wait for delivery again."""
    with reported():
        console.print(f"{open_house().store.outbox.try_failed_again(by=operator())} will be tried again", markup=False)
