"""`evidence-review`: the service and its tools from the command line.

Wires settings, progress and output; holds no rules. Heavy libraries are loaded inside the commands that need them.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.errors import InputError, ReviewError
from serving import cli_audit, cli_outbox
from serving.cli_backlog import score
from serving.cli_backup import backup, restore
from serving.cli_drift import drift
from serving.cli_erasure import erase, retention
from serving.cli_import import importing
from serving.cli_wiring import BAD_INPUT, console, errors, open_house, operator, read_settings, reported, stop

if TYPE_CHECKING:
    from models.privacy import Sealer
    from models.suggester import Suggester
    from serving.house import House
    from serving.records import Queue
    from serving.settings import Settings
    from serving.store.users import TokenOnFile

app = typer.Typer(help="Review the evidence of disputes. A person decides.", no_args_is_help=True)
app.command()(score)
app.add_typer(importing, name="import")
app.command()(drift)
app.command()(backup)
app.command()(restore)
app.command()(erase)
app.command()(retention)
users = typer.Typer(help="People and services that may use this.", no_args_is_help=True)
app.add_typer(users, name="user")
app.add_typer(cli_audit.commands, name="audit")
app.add_typer(cli_outbox.commands, name="outbox")

_SHUTDOWN_S = 30
"""How long requests under way may take once the service is told to stop."""
Host = Annotated[str | None, typer.Option(help="Address to listen on; default: the setting.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default: the setting.", min=1, max=65535)]
UserName = Annotated[str, typer.Argument(help="The user's name.")]


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the desk and the API. Works without a model too: then nothing is suggested."""
    from serving.house import build_house
    from serving.logs import configure_logs

    with reported():
        settings = read_settings(host=host, port=port)
        configure_logs(settings.log_level)
        _run(build_house(settings, _suggester_if_any(settings)))


@app.command()
def suggest(
    case_file: Annotated[Path, typer.Argument(metavar="CASE.json", help="A case in the intake format.")],
    photos: Annotated[Path | None, typer.Option(help="Photos folder; default: the case file's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the suggestion as JSON.")] = False,
) -> None:
    """Suggest a ruling for one case. Nothing is stored."""
    from models.case_file import CaseFile
    from models.domain import parse_case
    from serving.backlog.photos import read_photos
    from serving.printed import suggestion_page

    with reported():
        try:
            case = parse_case(case_file.read_bytes(), source=case_file.name)
        except OSError as error:
            stop(f"{case_file}: {error.strerror}", code=BAD_INPUT)
        folder = photos or case_file.parent
        if not folder.is_dir():
            stop(f"--photos: {folder} is not a folder", code=BAD_INPUT)
        file = CaseFile(case, read_photos(case, folder))
        settings = read_settings()
        with errors.status("Loading the model and reading the evidence ..."):
            suggestion = _suggester(settings).suggest([file])[0]
        if as_json:
            sys.stdout.write(suggestion.model_dump_json(indent=1) + "\n")
        else:
            console.print(suggestion_page(suggestion, case))


@app.command()
def demo(host: Host = None, port: Port = None) -> None:
    """Take in the sample cases, score them, show them, and serve the desk."""
    from serving.demo import demo_user, overview, score_samples, take_in_samples
    from serving.house import build_house
    from serving.logs import configure_logs

    with reported():
        settings = read_settings(host=host, port=port)
        configure_logs("warning")
        house = build_house(settings, _suggester_if_any(settings))
        with _progress() as progress:
            cases = take_in_samples(house, progress=progress)
            if house.scoring.suggester is not None:
                score_samples(house, cases, progress=progress)
        console.print(overview([house.store.view(key) for key in cases.keys]))
        link = house.gatekeeper.make_link(demo_user(house), by="system:demo")
        console.print("\n[bold]The desk is open.[/] Sign in once with:")
        console.print(_link(settings, link, host, port), style="bold cyan", soft_wrap=True, markup=False)
        console.print("Stop with Ctrl+C.\n")
        _run(house)


@app.command()
def worker() -> None:
    """Score waiting cases and deliver messages, beside a service that runs elsewhere, until stopped."""
    from serving.house import build_house
    from serving.logs import configure_logs
    from serving.loop import run_until_told

    with reported():
        settings = read_settings()
        configure_logs(settings.log_level)
        with errors.status("Loading the model ..."):
            suggester = _suggester(settings, warm=True)
        house = build_house(settings, suggester)
        optional = house.champion_keeper(), house.courier(), house.retraining_runner(), house.shadow_worker()
        run_until_told([house.worker(), *(loop for loop in optional if loop is not None)])
        house.store.close()


@app.command()
def export_outcomes(
    since: Annotated[str | None, typer.Option(help="Decisions from this time on, RFC 3339 with an offset.")] = None,
    until: Annotated[str | None, typer.Option(help="Decisions before this time.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default: the setting.")] = None,
    reversible: Annotated[bool, typer.Option("--reversible", help="Mask by tokens that privacy_key opens.")] = False,
) -> None:
    """Write standing decisions as labelled outcomes, with their cases masked."""
    from serving.export import export_outcomes as export

    with reported():
        house = open_house()
        with errors.status("Exporting ..."):
            folder = export(
                house.store,
                house.photo_intake,
                out or house.settings.outcomes_dir,
                by=operator(),
                since=_moment(since, "--since"),
                until=_moment(until, "--until"),
                sealer=_sealer(house.settings) if reversible else None,
            )
        console.print(str(folder), markup=False, soft_wrap=True)


@app.command()
def unmask(
    file: Annotated[Path, typer.Argument(help="A file of a reversible export.", exists=True, dir_okay=False)],
) -> None:
    """Print a file with the tokens of masked values opened. Needs the setting privacy_key."""
    with reported():
        sealer = _sealer(read_settings())
        sys.stdout.write(sealer.unseal(file.read_text(encoding="utf-8")))


def _sealer(settings: "Settings") -> "Sealer":
    from models.privacy import Sealer

    if settings.privacy_key is None:
        raise InputError("must be set for this", field="privacy_key")
    return Sealer(settings.privacy_key.get_secret_value())


@users.command("add")
def add_user(
    name: UserName,
    role: Annotated[str, typer.Option(help="arbitrator, lead, auditor, engineer or service.")],
    password: Annotated[bool, typer.Option("--password", help="Ask for a password.")] = False,
    queue: Annotated[
        list[str] | None, typer.Option(help="Platform/claim that an arbitrator is kept to: taobao/damaged, jd/*.")
    ] = None,
) -> None:
    """Add a user. Without a password, `user link`, `user set-up` or `user token` lets them in."""
    from serving.records import Role

    with reported():
        if role not in set(Role):
            raise InputError(f"must be one of {', '.join(Role)}", field="--role")
        secret = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
        user = open_house().gatekeeper.add_user(
            name, role=Role(role), password=secret, queues=tuple(map(_queue, queue or ())), by=operator()
        )
        console.print(f"added {user.name} ({user.role.value})", markup=False)


@users.command("list")
def list_users() -> None:
    """List the users, with their API tokens: label, scopes, and until when."""
    from rich.table import Table

    with reported():
        table, accounts = Table("name", "role", "tokens"), open_house().store.accounts
        for user in accounts.everyone():
            table.add_row(escape(user.name), user.role.value, escape("\n".join(map(_told, accounts.tokens(user)))))
        console.print(table)


@users.command("token")
def make_token(
    name: UserName,
    label: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
    scope: Annotated[
        list[str] | None, typer.Option(help="read, file, score, decide or operate; without any, all of the role's.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="Lifetime; without it, until it is revoked.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the tokens of that label instead.")] = False,
) -> None:
    """Make an API token and print it; it can't be read again."""
    from serving.records import Scope

    with reported():
        unknown = set(scope or ()) - set(Scope)
        if unknown:
            raise InputError(f"{min(unknown)!r} is none of {', '.join(Scope)}", field="--scope")
        house = open_house()
        user = house.store.accounts.named(name)
        if revoke:
            n_revoked = house.store.accounts.revoke_tokens(user, label=label, by=operator())
            if n_revoked == 0:
                known = ", ".join(sorted({token.label for token in house.store.accounts.tokens(user)})) or "none"
                raise InputError(f"{name} has no token of that label; there are: {known}", field="--label")
            console.print(f"revoked {n_revoked}")
        else:
            token = house.gatekeeper.make_token(
                user,
                label=label,
                by=operator(),
                scopes=frozenset(map(Scope, scope)) if scope else None,
                expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
            )
            console.print(token, markup=False, soft_wrap=True)


@users.command("link")
def make_link(name: UserName, host: Host = None, port: Port = None) -> None:
    """Make a one-time sign-in link and print it."""
    with reported():
        house = open_house()
        link = house.gatekeeper.make_link(house.store.accounts.named(name), by=operator())
        console.print(_link(house.settings, link, host, port), markup=False, soft_wrap=True)


@users.command("set-up")
def make_set_up_link(name: UserName, host: Host = None, port: Port = None) -> None:
    """Make a one-time link to choose a password with, and print it."""
    with reported():
        house = open_house()
        link = house.gatekeeper.make_link(house.store.accounts.named(name), by=operator(), kind="set_up")
        console.print(_link(house.settings, link, host, port, page="set-up"), markup=False, soft_wrap=True)


@users.command("disable")
def disable_user(name: UserName) -> None:
    """Shut a user out at once, with every session and token."""
    with reported():
        open_house().store.accounts.disable(name, by=operator())
        console.print(f"disabled {name}", markup=False)


def _told(token: "TokenOnFile") -> str:
    scopes = "all of the role's" if token.scopes is None else " ".join(sorted(token.scopes))
    until = f", until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at is not None else ""
    return f"{token.label}: {scopes}{until}"


def _queue(text: str) -> "Queue":
    from models.vocabulary import Claim, Platform
    from serving.records import Queue

    platform, _, claim = text.partition("/")
    try:
        return Queue(Platform(platform) if platform != "*" else None, Claim(claim) if claim not in ("", "*") else None)
    except ValueError as error:
        raise InputError(f"{text!r} is no platform/claim, such as taobao/damaged", field="--queue") from error


def _suggester(settings: "Settings", *, warm: bool = False) -> "Suggester":
    _quiet_libraries()
    suggester = _loaded(settings)
    if warm:
        from serving.scoring import warm_up

        warm_up(suggester)
    return suggester


def _loaded(settings: "Settings") -> "Suggester":
    from models.registry import load_suggester
    from serving.champion import model_folder, remember
    from serving.model_trial import tried

    def load(folder: Path | None) -> "Suggester":
        return load_suggester(folder, cache_dir=settings.cache_dir, threads=settings.scoring_threads)

    folder = model_folder(settings)
    if folder is None or folder == settings.model_dir:
        return load(folder)
    try:
        suggester = tried(load, folder)
    except ReviewError as error:
        errors.print(f"[bold yellow]The champion can't be used:[/] {escape(str(error))}. The shipped model starts.")
        return load(None)
    remember(settings.models_dir, folder)
    return suggester


def _suggester_if_any(settings: "Settings") -> "Suggester | None":
    try:
        with errors.status("Loading the model (the first time prepares the encoders, about a minute) ..."):
            return _suggester(settings, warm=True)
    except ReviewError as error:
        errors.print(f"[bold yellow]No model:[/] {escape(str(error))}. Nothing will be suggested.", soft_wrap=True)
        return None


def _quiet_libraries() -> None:
    """Keep the libraries' own bars and notices out of ours."""
    for name, value in (("TRANSFORMERS_VERBOSITY", "error"), ("HF_HUB_DISABLE_PROGRESS_BARS", "1")):
        os.environ.setdefault(name, value)


def _run(house: "House") -> None:
    import uvicorn

    from serving.app import create_app

    settings = house.settings
    uvicorn.run(
        create_app(settings, house=house),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


def _link(settings: "Settings", token: str, host: str | None, port: int | None, *, page: str = "sign-in") -> str:
    if settings.public_url and host is None and port is None:
        return f"{settings.public_url.rstrip('/')}/{page}?token={token}"
    shown = host or settings.host
    name = "127.0.0.1" if shown in ("0.0.0.0", "::") else shown  # noqa: S104  shown only
    return f"http://{name}:{port or settings.port}/{page}?token={token}"


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError("must be a time such as 2026-03-01T00:00:00+08:00", field=option) from error
    if moment.tzinfo is None:
        raise InputError("needs an offset, such as +08:00", field=option)
    return moment.astimezone(UTC)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=errors
    )
