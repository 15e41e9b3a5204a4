"""A backup restores whole, into either database and a newer schema; an altered one is refused."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.errors import InputError
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.audit import Verified
from serving.backup import restore_backup, write_backup
from serving.cli import app
from serving.house import House
from serving.migration import current_revision, downgrade, heads, upgrade
from serving.photo_store import PhotoStore
from serving.records import Role
from serving.refusals import PhotoCorruptError
from serving.store import Store, copying
from tests.builders import photo_bytes
from tests.postgres import PostgresServer
from tests.serving.conftest import headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401

ONE = "/api/v1/cases/taobao/TB-2026-000123"


@pytest.fixture
def backup(client: TestClient, house: House, tmp_path: Path) -> Path:
    """A backup of a case with a photo and a decision."""
    service = headers_of(house, Role.SERVICE)
    client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=service)
    client.put(f"{ONE}/photos/p1", content=photo_bytes(), headers=service)
    client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(headers_of(house, Role.LEAD)))
    write_backup(house.store, house.photos, tmp_path / "backup")
    return tmp_path / "backup"


def rows(store: Store) -> dict[str, list[object]]:
    with store.database.read() as connection:
        return {name: list(copying.rows_of(connection, name)) for name in copying.table_names()}


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_restores_whole_into_either_database(
    backup: Path, house: House, tmp_path: Path, into: str, postgres: PostgresServer
) -> None:
    url = f"sqlite:///{tmp_path}/other.db" if into == "sqlite" else postgres.url(postgres.new_database())
    other = Store(url)
    manifest = restore_backup(backup, other, PhotoStore(tmp_path / "elsewhere"))
    assert rows(other) == rows(house.store)
    assert other.verify_audit(heads=[manifest.head]) == Verified(manifest.head, 0)
    restored = house.settings.model_copy(update={"database_url": url, "photo_dir": tmp_path / "elsewhere"})
    client = TestClient(create_app(restored))
    lead = headers_of(client.app.state.house, Role.LEAD)  # type: ignore[attr-defined]
    assert client.get(ONE, headers=lead).json()["status"] == "decided"
    assert client.get(f"{ONE}/photos/p1?size=original", headers=lead).content == photo_bytes()
    user_of(client.app.state.house, Role.LEAD, name="new after the restore")  # type: ignore[attr-defined]
    other.close()


def test_a_backup_of_an_older_schema_restores_into_this_one(tmp_path: Path) -> None:
    old = Store(f"sqlite:///{tmp_path}/old.db")
    old.migrate()
    old.accounts.add("li", role=Role.LEAD, by="system:test")
    with old.database.alter() as connection:
        content = [(name, list(copying.rows_of(connection, name))) for name in copying.table_names()]
        downgrade(connection, to="0003_audit_chain")
        schema = sa.inspect(connection)
        known = {name: {c["name"] for c in schema.get_columns(name)} for name in schema.get_table_names()}
        upgrade(connection)
    kept = [(n, [{k: v for k, v in row.items() if k in known[n]} for row in r]) for n, r in content if n in known]
    new = Store(f"sqlite:///{tmp_path}/new.db")
    with new.database.alter() as connection:
        copying.fill(connection, kept, revision="0003_audit_chain")
        assert current_revision(connection) == heads()[0]
    assert isinstance(new.verify_audit(), Verified)
    assert new.accounts.named("li").role == Role.LEAD


@pytest.mark.parametrize("harm", ["a table's row", "a photo", "a missing table", "no manifest", "a path as a table"])
def test_an_altered_backup_is_refused_and_nothing_is_stored(backup: Path, tmp_path: Path, harm: str) -> None:
    if harm == "a table's row":
        path = backup / "tables" / "cases.jsonl"
        path.write_bytes(path.read_bytes().replace(b"damaged", b"quality"))
    elif harm == "a photo":
        next((backup / "photos").iterdir()).write_bytes(photo_bytes(seed=1))
    elif harm == "a missing table":
        (backup / "tables" / "users.jsonl").unlink()
    elif harm == "no manifest":
        (backup / "manifest.json").unlink()
    else:
        path = backup / "manifest.json"
        path.write_text(path.read_text().replace('"users"', '"../users"'))
    other = Store(f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(InputError):
        restore_backup(backup, other, PhotoStore(tmp_path / "elsewhere"))
    with other.database.read() as connection:
        assert copying.is_empty(connection)


def test_a_backup_never_overwrites_and_a_restore_needs_an_empty_database(backup: Path, house: House) -> None:
    with pytest.raises(InputError, match="never overwrites"):
        write_backup(house.store, house.photos, backup)
    with pytest.raises(InputError, match="isn't empty"):
        restore_backup(backup, house.store, house.photos)


def test_a_backup_with_a_lost_photo_fails_and_leaves_nothing(backup: Path, house: House, tmp_path: Path) -> None:
    shutil.rmtree(house.settings.photo_dir)
    with pytest.raises(PhotoCorruptError):
        write_backup(house.store, house.photos, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    assert not list(tmp_path.glob(".new-*"))


def test_the_commands_back_up_and_restore(
    backup: Path, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*command: str, database_url: str, photos: Path) -> Result:
        monkeypatch.setenv("EVIDENCE_REVIEW_DATABASE_URL", database_url)
        monkeypatch.setenv("EVIDENCE_REVIEW_PHOTO_DIR", str(photos))
        return CliRunner().invoke(app, list(command))

    ours = {"database_url": house.settings.database_url, "photos": house.settings.photo_dir}
    written = run("backup", str(tmp_path / "second"), **ours)
    assert (written.exit_code, "1 photos" in written.output) == (0, True)
    assert run("backup", str(tmp_path / "second"), **ours).exit_code == 2
    other = {"database_url": f"sqlite:///{tmp_path}/other.db", "photos": tmp_path / "elsewhere"}
    told = run("restore", str(tmp_path / "second"), **other)
    assert (told.exit_code, "restored 1 cases, 1 photos of" in told.output) == (0, True)
    assert rows(Store(other["database_url"])) == rows(house.store)
    refused = run("restore", str(tmp_path / "second"), **other)
    assert (refused.exit_code, "isn't empty" in refused.output) == (2, True)
    assert run("restore", str(tmp_path / "nowhere"), **other).exit_code == 2
