"""A backup restores whole, into either database and a newer schema; an altered one is refused."""

import getpass
import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.case_file import photo_digest
from models.errors import InputError
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.audit import Verified
from serving.backup import restore_backup, write_backup
from serving.cli import app
from serving.house import House, build_house
from serving.migration import current_revision, downgrade, heads, upgrade
from serving.photo_store import PhotoStore
from serving.records import Role
from serving.refusals import StrangerError
from serving.store import Store, copying
from serving.store.copying import Row
from tests.builders import photo_bytes
from tests.postgres import PostgresServer
from tests.serving.conftest import headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.used import use_everything

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


def rows(store: Store) -> dict[str, list[Row]]:
    with store.database.read() as connection:
        return {name: list(copying.rows_of(connection, name)) for name in copying.table_names()}


def entered(restored: dict[str, list[Row]]) -> Row:
    """Take the entry of the restore off the end of the trail and return what it says."""
    entry = restored["audit_events"].pop()
    return {"action": entry["action"], "actor": entry["actor"], **json.loads(entry["detail"])}


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_restores_whole_into_either_database(
    backup: Path, house: House, tmp_path: Path, into: str, postgres: PostgresServer
) -> None:
    url = f"sqlite:///{tmp_path}/other.db" if into == "sqlite" else postgres.url(postgres.new_database())
    other = Store(url)
    manifest = restore_backup(backup, other, PhotoStore(tmp_path / "elsewhere"))
    restored = rows(other)
    assert entered(restored) == {
        "action": "restored",
        "actor": "system:restore",
        "made_at": manifest.created_at.isoformat(),
        **manifest.head.model_dump(),
        **{"n_sessions_ended": 0, "n_links_ended": 0, "n_photos_lost": 0},
    }
    assert restored == rows(house.store)
    assert other.verify_audit(heads=[manifest.head]) == Verified(other.audit_head(), 0)
    settings = house.settings.model_copy(update={"database_url": url, "photo_dir": tmp_path / "elsewhere"})
    client = TestClient(create_app(settings))
    lead = headers_of(client.app.state.house, Role.LEAD)  # type: ignore[attr-defined]
    assert client.get(ONE, headers=lead).json()["status"] == "decided"
    assert client.get(f"{ONE}/photos/p1?size=original", headers=lead).content == photo_bytes()
    user_of(client.app.state.house, Role.LEAD, name="new after the restore")  # type: ignore[attr-defined]
    other.close()


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_every_table_restores_and_nobody_is_signed_in(
    scoring_house: House, tmp_path: Path, into: str, postgres: PostgresServer
) -> None:
    use_everything(scoring_house)
    lead, gatekeeper = user_of(scoring_house, Role.LEAD), scoring_house.gatekeeper
    session = gatekeeper.sign_in_by_link(gatekeeper.make_link(lead, by="system:test"))
    links = {kind: gatekeeper.make_link(lead, by="system:test", kind=kind) for kind in ("sign_in", "set_up")}
    token = gatekeeper.make_token(lead, label="kept", by="system:test")
    manifest = write_backup(scoring_house.store, scoring_house.photos, tmp_path / "backup")
    assert [name for name, table in manifest.tables.items() if table.n_rows == 0] == []

    url = f"sqlite:///{tmp_path}/other.db" if into == "sqlite" else postgres.url(postgres.new_database())
    other = Store(url)
    restore_backup(tmp_path / "backup", other, PhotoStore(tmp_path / "elsewhere"))
    before, after = rows(scoring_house.store), rows(other)
    entry = entered(after)
    assert (entry["n_sessions_ended"], entry["n_links_ended"]) == (2, 2)
    assert {name for name in before if before[name] != after[name]} == {"sessions", "sign_in_links"}
    assert all(row["ended_at"] for row in after["sessions"])
    assert all(row["used_at"] for row in after["sign_in_links"])
    assert isinstance(other.verify_audit(heads=[manifest.head]), Verified)

    settings = scoring_house.settings.model_copy(update={"database_url": url, "photo_dir": tmp_path / "elsewhere"})
    restored = build_house(settings)
    assert restored.gatekeeper.person_of_session(session) is None
    assert restored.gatekeeper.person_of_token(token) is not None
    with pytest.raises(StrangerError):
        restored.gatekeeper.sign_in_by_link(links["sign_in"])
    with pytest.raises(StrangerError):
        restored.gatekeeper.set_up(links["set_up"], "correct horse battery staple")
    restored.store.close()
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


@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_lost_photo_is_named_and_the_rest_is_backed_up(
    client: TestClient, house: House, tmp_path: Path, harm: str
) -> None:
    service = headers_of(house, Role.SERVICE)
    photos = [{"photo_id": name, "role": "received", "filed_by": "buyer"} for name in ("p1", "p2")]
    client.post("/api/v1/cases", json={**EXAMPLE_CASE, "photos": photos}, headers=service)
    for number, name in enumerate(("p1", "p2")):
        client.put(f"{ONE}/photos/{name}", content=photo_bytes(seed=number), headers=service)
    lost, kept = (photo_digest(photo_bytes(seed=number)) for number in range(2))
    (path,) = house.settings.photo_dir.rglob(lost.removeprefix("sha256:"))
    path.unlink() if harm == "gone" else path.write_bytes(b"?")

    manifest = write_backup(house.store, house.photos, tmp_path / "backup")
    assert (manifest.lost, manifest.photos) == ((lost,), (kept,))
    assert [file.name for file in (tmp_path / "backup" / "photos").iterdir()] == [kept.removeprefix("sha256:")]
    other, elsewhere = Store(f"sqlite:///{tmp_path}/other.db"), PhotoStore(tmp_path / "elsewhere")
    assert restore_backup(tmp_path / "backup", other, elsewhere).lost == (lost,)
    assert (elsewhere.has(kept), elsewhere.has(lost)) == (True, False)
    assert entered(rows(other))["n_photos_lost"] == 1


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
    restored = rows(Store(other["database_url"]))
    assert entered(restored)["actor"] == f"system:cli:{getpass.getuser()}"
    assert restored == rows(house.store)
    refused = run("restore", str(tmp_path / "second"), **other)
    assert (refused.exit_code, "isn't empty" in refused.output) == (2, True)
    assert run("restore", str(tmp_path / "nowhere"), **other).exit_code == 2

    shutil.rmtree(house.settings.photo_dir)
    lost = f"LOST: photo {photo_digest(photo_bytes())} was altered or gone when it was backed up"
    written = run("backup", str(tmp_path / "third"), **ours)
    assert (written.exit_code, "0 photos" in written.output, lost in written.output) == (3, True, True)
    third = {"database_url": f"sqlite:///{tmp_path}/third.db", "photos": tmp_path / "third-photos"}
    told = run("restore", str(tmp_path / "third"), **third)
    assert (told.exit_code, lost in told.output) == (0, True)
