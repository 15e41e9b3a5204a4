"""`evidence-review backup` and `restore`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from serving.cli_wiring import console, errors, open_house, operator, read_settings, reported

_NOT_WHOLE = 3


def backup(out: Annotated[Path, typer.Argument(help="Folder to write; must not exist yet.", file_okay=False)]) -> None:
    """Write the whole database and every photo to a folder, while the service runs.

    Leaves with 3 when photos were altered or gone: said line by line, and the rest is in the backup.
    """
    from serving.backup import write_backup

    with reported():
        house = open_house()
        with errors.status("Writing the backup ..."):
            manifest = write_backup(house.store, house.photos, out)
        n_rows = sum(table.n_rows for table in manifest.tables.values())
        console.print(f"{out}: {n_rows} rows, {len(manifest.photos)} photos", markup=False, soft_wrap=True)
        _say_lost(manifest.lost)
        if manifest.lost:
            raise typer.Exit(_NOT_WHOLE)


def restore(folder: Annotated[Path, typer.Argument(help="A folder that `backup` wrote.", exists=True)]) -> None:
    """Fill an empty database and the photo folder from a backup, and verify the audit trail in it.

    A backup of SQLite restores into PostgreSQL and the other way, and into a newer version of this service.
    """
    from serving.backup import restore_backup
    from serving.photo_store import PhotoStore
    from serving.store import Store

    with reported():
        settings = read_settings()
        with errors.status("Restoring ..."):
            store, photos = Store(settings.database_url), PhotoStore(settings.photo_dir)
            manifest = restore_backup(folder, store, photos, by=operator())
        console.print(
            f"restored {manifest.tables['cases'].n_rows} cases, {len(manifest.photos)} photos of {manifest.created_at}",
            markup=False,
            soft_wrap=True,
        )
        _say_lost(manifest.lost)
        console.print("Revoke and disable again what was since: docs/operations.md, Restore.", soft_wrap=True)


def _say_lost(digests: Iterable[str]) -> None:
    for digest in digests:
        console.print(f"LOST: photo {digest} was altered or gone when it was backed up", markup=False, soft_wrap=True)
