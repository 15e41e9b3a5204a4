"""`evidence-review audit`: the trail's signed heads and its verification."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from serving.cli_wiring import console, errors, open_house, reported, stop

commands = typer.Typer(help="The audit trail: export signed heads, verify it.", no_args_is_help=True)


@commands.command("key")
def make_signing_key(
    file: Annotated[Path, typer.Argument(help="File for the private key, such as audit.pem.")],
) -> None:
    """Make the key that heads are signed with. Keep it away from the database; the .pub.pem beside it verifies."""
    from serving.audit_heads import make_key

    with reported():
        console.print(f"private key: {file}\npublic key:  {make_key(file)}", markup=False, soft_wrap=True)


@commands.command("head")
def export_head(
    key: Annotated[Path, typer.Option(help="File of the private key.")],
    out: Annotated[Path, typer.Option(help="File that the head is added to; keep it elsewhere than the database.")],
) -> None:
    """Sign where the trail ends now. What was written until then can't be changed unseen afterwards."""
    from serving.audit_heads import append_head, sign_head

    with reported():
        head = open_house().store.audit_head()
        append_head(out, sign_head(head, key_file=key, at=datetime.now(UTC)))
        console.print(f"{head.place} entries, {head.digest}", markup=False, soft_wrap=True)


@commands.command("verify")
def verify(
    heads: Annotated[Path | None, typer.Option(help="File of heads exported earlier.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="Public key that the heads were signed with.")] = None,
) -> None:
    """Check every entry of the trail. Leaves with 1 when it was tampered with.

    Without heads, a cut end or a trail written anew from start to end can't be seen.
    """
    from serving.audit import Broken
    from serving.audit_heads import read_heads

    with reported():
        if (heads is None) != (public_key is None):
            stop("--heads and --public-key go together", code=2)
        known = read_heads(heads, public_key_file=public_key) if heads and public_key else []
        store = open_house().store
        began = time.perf_counter()
        with errors.status("Verifying ..."):
            found = store.verify_audit(heads=known)
        if isinstance(found, Broken):
            where = f"entry {found.place}: " if found.place is not None else ""
            stop(f"TAMPERED: {where}{found.what}", code=1)
        against = f"against {len(known)} signed heads" if known else "without a head: a cut end would go unseen"
        erased = f", {found.n_erased} of them erased" if found.n_erased else ""
        took = time.perf_counter() - began
        console.print(
            f"intact: {found.head.place} entries{erased}, {against}, {took:.1f} s", markup=False, soft_wrap=True
        )
