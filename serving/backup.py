"""Backup and restore: the whole database and every photo in a folder, checked on the way out and on the way in.

The database is read in one transaction while the service runs. A backup of SQLite restores into PostgreSQL and the
other way, and into a newer schema. It holds personal data and password hashes: keep it as you keep the database. What
was revoked since it was made comes back with it, save sessions and one-time links: a restore ends those.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError
from sqlalchemy import Connection

from models.domain import Frozen
from models.errors import InputError
from serving.audit import Action, AuditHead, Broken
from serving.durable_file import write_synced
from serving.migration import current_revision
from serving.photo_store import PhotoStore
from serving.refusals import PhotoCorruptError, StorageError
from serving.store import Store, copying, trail, users
from serving.store.copying import Row

_MANIFEST = "manifest.json"


class TableFile(Frozen):
    n_rows: int
    sha256: str


class Manifest(Frozen):
    """revision : of the schema; head : where the audit trail ended; photos : their digests

    lost : digests of photos on file whose bytes were altered or gone when the backup was made
    """

    schema_version: int = Field(1, ge=1, le=1)
    created_at: AwareDatetime
    revision: str
    tables: dict[str, TableFile]
    photos: tuple[str, ...]
    lost: tuple[str, ...] = ()
    head: AuditHead


def write_backup(store: Store, photos: PhotoStore, folder: Path) -> Manifest:
    """Write a backup to `folder`, which appears whole or not at all. Lost photos are named and left out.

    Raises InputError when it exists, StorageError when it can't be written.
    """
    if folder.exists():
        raise InputError("exists; a backup never overwrites", field=str(folder))
    draft = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
        manifest = _write(store, photos, draft)
        draft.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
    return manifest


def restore_backup(folder: Path, store: Store, photos: PhotoStore, *, by: str = "system:restore") -> Manifest:
    """Fill an empty database and the photo folder from a backup, all or nothing of the database.

    Every session and unused link ends, for one that was ended since the backup would be good again.
    by : who restores, for the audit trail
    Raises InputError on a backup that is incomplete or altered, or a database that isn't empty.
    """
    manifest = _verified(folder)
    for digest in manifest.photos:
        try:
            stored = photos.put(_photo_path(folder, digest).read_bytes())
        except OSError as error:
            raise InputError(f"photo {digest} can't be read", field=str(folder)) from error
        if stored != digest:
            raise InputError(f"photo {digest} was altered", field=str(folder))
    with store.database.alter() as connection:
        if not copying.is_empty(connection):
            raise InputError("isn't empty; restore into a new one", field="database_url")
        content = ((name, _rows(folder, name)) for name in manifest.tables)
        copying.fill(connection, content, revision=manifest.revision)
        found = trail.verify(connection, heads=[manifest.head] if manifest.head.place else [])
        if isinstance(found, Broken):
            raise InputError(f"the audit trail doesn't verify: {found.what}", field=str(folder))
        _begin_anew(connection, manifest, by=by)
    return manifest


def _begin_anew(connection: Connection, manifest: Manifest, *, by: str) -> None:
    at = datetime.now(UTC)
    n_sessions, n_links = users.end_ways_in(connection, at=at)
    detail: trail.Detail = {
        "made_at": manifest.created_at.isoformat(),
        "place": manifest.head.place,
        "digest": manifest.head.digest,
        "n_sessions_ended": n_sessions,
        "n_links_ended": n_links,
        "n_photos_lost": len(manifest.lost),
    }
    trail.record(connection, Action.RESTORED, actor=by, subject="backup", at=at, detail=detail)
    trail.seal(connection)


def _write(store: Store, photos: PhotoStore, draft: Path) -> Manifest:
    (draft / "tables").mkdir()
    (draft / "photos").mkdir()
    with store.database.read() as connection:
        made_at = datetime.now(UTC)
        tables, digests = _write_tables(connection, draft)
        head, revision = trail.head(connection), current_revision(connection) or ""
    kept, lost = _write_photos(digests, photos, draft)
    manifest = Manifest(created_at=made_at, revision=revision, tables=tables, photos=kept, lost=lost, head=head)
    write_synced(draft / _MANIFEST, manifest.model_dump_json(indent=1).encode())
    return manifest


def _write_tables(connection: Connection, draft: Path) -> tuple[dict[str, TableFile], list[str]]:
    """Return the files by table, and the digests of the photos on file."""
    tables, digests = {}, []
    for name in copying.table_names():
        sums, n_rows = hashlib.sha256(), 0
        with _table_path(draft, name).open("wb") as file:
            for row in copying.rows_of(connection, name):
                line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
                sums.update(line)
                n_rows += 1
                file.write(line)
                if name == "photos":
                    digests.append(row["digest"])
            file.flush()
            os.fsync(file.fileno())
        tables[name] = TableFile(n_rows=n_rows, sha256=sums.hexdigest())
    return tables, digests


def _write_photos(digests: Iterable[str], photos: PhotoStore, draft: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the digests of those written, and of those whose bytes were altered or gone."""
    kept, lost = [], []
    for digest in digests:
        try:
            path, data = _photo_path(draft, digest), photos.get(digest)
        except PhotoCorruptError:
            lost.append(digest)
            continue
        write_synced(path, data)
        kept.append(digest)
    return tuple(kept), tuple(lost)


def _verified(folder: Path) -> Manifest:
    """Return the manifest once every table's file is what it says. Raises InputError."""
    try:
        manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
        for name, expected in manifest.tables.items():
            with _table_path(folder, name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected.sha256:
                    raise InputError(f"{name} was altered", field=str(folder))
    except (OSError, ValidationError) as error:
        raise InputError(f"is no whole backup: {error}", field=str(folder)) from error
    return manifest


def _rows(folder: Path, name: str) -> Iterator[Row]:
    with _table_path(folder, name).open("rb") as file:
        for line in file:
            yield json.loads(line)


def _table_path(folder: Path, name: str) -> Path:
    if not name.replace("_", "").isalnum():
        raise InputError(f"{name!r} is no table", field=str(folder))
    return folder / "tables" / f"{name}.jsonl"


def _photo_path(folder: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    if not name.isalnum():
        raise PhotoCorruptError(digest)
    return folder / "photos" / name
