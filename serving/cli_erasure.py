"""`evidence-review erase` and `retention`: letting go of personal data."""

from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli_wiring import console, errors, open_house, reported

if TYPE_CHECKING:
    from serving.erasure import Erased

_NOT_WHOLE = 3


def erase(
    target: Annotated[
        str, typer.Argument(help="A case, taobao/TB-1, or a party: buyer:taobao/b-77, seller:taobao/s-12.")
    ],
    by: Annotated[str, typer.Option(help="The user who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")],
    under_way_too: Annotated[
        bool, typer.Option("--under-way-too", help="Also cases that aren't decided, or whose notice hasn't left.")
    ] = False,
) -> None:
    """Erase what is kept of a case or a party. Kinds, sums, rulings and times stay, under an id that leads nowhere.

    Leaves with 3 when something had to stay: said line by line.
    """
    from serving.erasure import Target

    with reported():
        meant = Target.parse(target)
        with errors.status("Erasing ..."):
            done = open_house().eraser().erase(meant, by=by, reason=reason, under_way_too=under_way_too)
        _say(done)
        if not done.is_whole:
            raise typer.Exit(_NOT_WHOLE)


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    after_a_pause: Annotated[
        bool, typer.Option("--after-a-pause", help="The clock is right, and was, though nothing happened for 30 days.")
    ] = False,
) -> None:
    """Let go of everything that was kept for its time (settings `keep_…_days`). Meant to be run every day."""
    with reported():
        with errors.status("Looking ..." if dry_run else "Letting go ..."):
            found = open_house().retention().apply(dry_run=dry_run, after_a_pause=after_a_pause)
        for passed in found:
            period = f"after {passed.days:g} days" if passed.days is not None else "kept for ever"
            left = f", {passed.left} of them under way and kept" if passed.left else ""
            done = "would go" if dry_run else "gone"
            console.print(f"{passed.kind}: {passed.n} {done} ({period}){left}", markup=False, soft_wrap=True)


def _say(done: "Erased") -> None:
    lines = [f"{done.n_cases} cases erased, {done.n_photos} photo files removed"]
    lines += [f"backlog {job} removed" for job in done.jobs]
    for revoked in done.revoked:
        instead = f"; {revoked.replaced_by} holds the rest" if revoked.replaced_by else ""
        lines.append(f"outcomes {revoked.name} revoked{instead}. Remove copies of them elsewhere too")
    lines += [f"LEFT: case {key} is under way: {why}" for key, why in done.left.items()]
    lines += [f"LEFT: backlog {job} is running; cancel it, then erase again" for job in done.jobs_left]
    if not done.clean:
        lines.append("LEFT: the database's write-ahead log, which somebody reads just now; run `retention` again")
    lines.append("Backups made before still hold it.")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
