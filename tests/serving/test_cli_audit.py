"""The audit commands: a key, signed heads, and a verdict with its exit code."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli import app
from serving.records import Role
from serving.settings import Settings
from serving.store import Store
from serving.tables import audit_events

runner = CliRunner()


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in ("database_url", "photo_dir", "outcomes_dir"):
        monkeypatch.setenv(f"EVIDENCE_REVIEW_{name.upper()}", str(getattr(settings, name)))
    opened = Store(settings.database_url)
    for place in range(3):
        opened.accounts.add(f"person-{place}", role=Role.LEAD, by="system:test")
    return opened


def run(*words: object) -> tuple[int, str]:
    told = runner.invoke(app, ["audit", *map(str, words)])
    return told.exit_code, told.output


def test_a_trail_is_verified_against_its_signed_heads(store: Store, tmp_path: Path) -> None:
    key, public, heads = tmp_path / "audit.pem", tmp_path / "audit.pub.pem", tmp_path / "heads.jsonl"
    assert run("key", key)[0] == 0
    assert key.stat().st_mode & 0o077 == 0
    assert run("head", "--key", key, "--out", heads)[0] == 0
    code, said = run("verify", "--heads", heads, "--public-key", public)
    assert (code, said.startswith("intact: 3 entries, against 1 signed heads")) == (0, True)
    with store.database.alter() as connection:
        connection.execute(audit_events.delete().where(audit_events.c.place == 3))
    assert run("verify")[0] == 0
    code, said = run("verify", "--heads", heads, "--public-key", public)
    assert (code, "TAMPERED: entry 3: the end is cut off" in said) == (1, True)


def test_a_forged_head_is_refused_by_its_line(store: Store, tmp_path: Path) -> None:
    key, other, heads = tmp_path / "audit.pem", tmp_path / "other.pem", tmp_path / "heads.jsonl"
    run("key", key)
    run("key", other)
    run("head", "--key", key, "--out", heads)
    run("head", "--key", other, "--out", heads)
    code, said = run("verify", "--heads", heads, "--public-key", tmp_path / "audit.pub.pem")
    assert (code, "line 2 wasn't signed with this key" in said) == (2, True)


def test_a_key_is_never_overwritten_and_a_missing_one_is_named(store: Store, tmp_path: Path) -> None:
    key = tmp_path / "audit.pem"
    run("key", key)
    before = key.read_bytes()
    assert (run("key", key)[0], key.read_bytes()) == (2, before)
    code, said = run("head", "--key", tmp_path / "none.pem", "--out", tmp_path / "heads.jsonl")
    assert (code, "none.pem" in said) == (2, True)
