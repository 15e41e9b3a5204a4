"""The command line: clear words and codes, quick help, and the demo's table."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from serving.api.documents import EXAMPLE_CASE
from serving.cli import app
from serving.demo import DEMO_LEAD, demo_user, overview, score_samples, take_in_samples
from serving.house import House
from serving.printed import suggestion_page
from serving.records import Role
from serving.settings import Settings
from serving.store import Store
from tests.builders import build_case, photo_bytes
from tests.serving.conftest import user_of
from tests.suggesters import build_suggester

runner = CliRunner()


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The command line's own settings point at the test's database."""
    for name in ("database_url", "photo_dir", "outcomes_dir"):
        monkeypatch.setenv(f"EVIDENCE_REVIEW_{name.upper()}", str(getattr(settings, name)))
    return settings


def write_case(folder: Path, **changes: object) -> Path:
    path = folder / "case.json"
    path.write_text(json.dumps({**EXAMPLE_CASE, **changes}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claim": "broken"}, "case.json: claim: "),
        ({"surprise": 1}, "case.json: surprise: unknown key"),
        ({"order": {}}, "case.json: order.order_id: is required"),
    ],
)
def test_suggest_names_the_field_at_fault(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    told = runner.invoke(app, ["suggest", str(write_case(tmp_path, **changes))])
    assert told.exit_code == 2
    assert said in told.stderr
    assert "Traceback" not in told.output


def test_suggest_says_what_it_cannot_read(tmp_path: Path) -> None:
    told = runner.invoke(app, ["suggest", str(tmp_path / "none.json")])
    assert (told.exit_code, "No such file" in told.stderr) == (2, True)
    told = runner.invoke(app, ["suggest", str(write_case(tmp_path)), "--photos", str(tmp_path / "none")])
    assert (told.exit_code, "is not a folder" in told.stderr) == (2, True)
    (tmp_path / "bad.json").write_text("{")
    told = runner.invoke(app, ["suggest", str(tmp_path / "bad.json")])
    assert (told.exit_code, "is not valid JSON" in told.stderr) == (2, True)


def test_a_model_that_cannot_be_loaded_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_REVIEW_MODEL_DIR", str(tmp_path))
    told = runner.invoke(app, ["suggest", str(write_case(tmp_path))])
    assert (told.exit_code, "manifest.json" in told.stderr) == (1, True)


def test_a_setting_that_cannot_be_used_is_named(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_REVIEW_PORT", "no port")
    told = runner.invoke(app, ["user", "list"])
    assert (told.exit_code, "EVIDENCE_REVIEW_PORT" in told.stderr) == (2, True)


@pytest.mark.parametrize(("host", "secure"), [(None, False), ("0.0.0.0", True)])
def test_the_host_of_the_command_line_counts_like_the_setting(
    environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str | None, secure: bool
) -> None:
    served: list[tuple[FastAPI, dict[str, object]]] = []
    monkeypatch.setattr("uvicorn.run", lambda asgi, **given: served.append((asgi, given)))
    monkeypatch.setenv("EVIDENCE_REVIEW_MODEL_DIR", str(tmp_path / "none"))
    told = runner.invoke(app, ["serve", "--port", "8100", *(["--host", host] if host else [])])
    assert told.exit_code == 0, told.output
    ((asgi, given),) = served
    assert (given["host"], given["port"]) == (host or "127.0.0.1", 8100)
    house = asgi.state.house
    link = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    answer = TestClient(asgi).get(f"/sign-in?token={link}", follow_redirects=False)
    assert ("Secure" in answer.headers["set-cookie"]) is secure
    house.store.close()


def test_users_are_added_listed_and_let_in(environment: Settings) -> None:
    assert runner.invoke(app, ["user", "add", "li", "--role", "arbitrator"]).exit_code == 0
    assert "li" in runner.invoke(app, ["user", "list"]).stdout
    assert runner.invoke(app, ["user", "token", "li"]).stdout.startswith("er_")
    assert "/sign-in?token=" in runner.invoke(app, ["user", "link", "li"]).stdout
    assert "command line" in runner.invoke(app, ["user", "list"]).stdout
    other = runner.invoke(app, ["user", "token", "li", "--revoke", "--label", "comand line"])
    assert (other.exit_code, "there are: command line" in " ".join(other.stderr.split())) == (2, True)
    assert runner.invoke(app, ["user", "token", "li", "--revoke"]).stdout == "revoked 1\n"
    assert "command line" not in runner.invoke(app, ["user", "list"]).stdout
    again = runner.invoke(app, ["user", "add", "li", "--role", "lead"])
    assert (again.exit_code, "exists" in again.stderr) == (1, True)
    assert runner.invoke(app, ["user", "add", "wu", "--role", "king"]).exit_code == 2
    assert runner.invoke(app, ["user", "link", "nobody"]).exit_code == 1


def test_the_list_tells_what_each_token_may_do_so_that_a_new_one_may_do_no_more(environment: Settings) -> None:
    runner.invoke(app, ["user", "add", "feed", "--role", "service"])
    runner.invoke(app, ["user", "token", "feed", "--label", "metrics", "--scope", "operate", "--days", "3650"])
    runner.invoke(app, ["user", "token", "feed", "--label", "intake", "--scope", "file", "--scope", "read"])
    runner.invoke(app, ["user", "token", "feed", "--label", "whole"])
    listed = " ".join(re.sub(r"[│┃]", " ", runner.invoke(app, ["user", "list"]).stdout).split())
    assert re.search(r"intake: file read metrics: operate, until \d{4}-\d\d-\d\d", listed)
    assert "whole: all of the role's" in listed


def test_the_trail_names_who_ran_a_command(environment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("no entry for this user")

    for name, ask in {"wang": lambda: "wang", "x" * 100: lambda: "x" * 300, "unknown": nobody}.items():
        monkeypatch.setattr("getpass.getuser", ask)
        assert runner.invoke(app, ["user", "add", name, "--role", "lead"]).exit_code == 0
        (added,) = Store(environment.database_url).audit_trail(subject=f"user:{name}")
        assert added.actor == f"system:cli:{name}"


def test_a_password_is_asked_for_and_never_an_argument(environment: Settings) -> None:
    typed = "correct horse battery\ncorrect horse battery\n"
    added = runner.invoke(app, ["user", "add", "li", "--role", "lead", "--password"], input=typed)
    assert added.exit_code == 0
    short = runner.invoke(app, ["user", "add", "wu", "--role", "lead", "--password"], input="short\nshort\n")
    assert (short.exit_code, "at least 12" in short.stderr) == (2, True)


def test_outcomes_are_exported_to_a_folder(environment: Settings) -> None:
    told = runner.invoke(app, ["export-outcomes"])
    assert told.exit_code == 0, told.output
    assert (Path(told.stdout.strip()) / "manifest.json").is_file()
    bad = runner.invoke(app, ["export-outcomes", "--since", "2026-03-01"])
    assert (bad.exit_code, "--since" in bad.stderr) == (2, True)


def test_help_loads_no_heavy_library_and_is_quick() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom serving.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([m for m in ('torch', 'onnxruntime', 'transformers', 'sqlalchemy', 'fastapi') if m in sys.modules])"
    )
    began = time.perf_counter()
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert told.stdout.strip() == "[]"
    assert time.perf_counter() - began < 10


def test_a_suggestion_is_printed_with_both_sides_ledger_and_its_honesty() -> None:
    case = build_case(
        buyer_statement="到手碎了",
        seller_statement="签收时是好的",
        logistics=[{"at": "2026-03-03T09:00:00Z", "event": "signed", "by": "locker"}],
    )
    from models.case_file import CaseFile

    suggestion = build_suggester().suggest([CaseFile(case, {})])[0]
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(suggestion_page(suggestion, case))
    page = console.export_text()
    for words in ("A suggestion, not a decision", "simulated cases only", "for the seller", "must prove", "set at 90%"):
        assert words in page


def test_the_demo_takes_in_scores_and_skips_what_is_stored(scoring_house: House, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    (samples / "photos").mkdir(parents=True)
    (samples / "photos" / "p1.jpg").write_bytes(photo_bytes())
    photo = {"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "photos/p1.jpg"}
    lines = [build_case(case_id=f"D-{n}", photos=[photo]).model_dump_json() for n in range(3)]
    (samples / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Progress(disable=True) as progress:
        cases = take_in_samples(scoring_house, folder=samples, progress=progress)
        score_samples(scoring_house, cases, progress=progress)
        again = take_in_samples(scoring_house, folder=samples, progress=progress)
        before = len(scoring_house.store.audit_trail())
        score_samples(scoring_house, again, progress=progress)
    assert (cases.n_new, again.n_new, len(again.keys)) == (3, 0, 3)
    assert len(scoring_house.store.audit_trail()) == before
    views = [scoring_house.store.view(key) for key in again.keys]
    assert all(view.suggestion is not None and view.photos[0].present for view in views)
    assert overview(views).row_count == 3
    assert demo_user(scoring_house).name == DEMO_LEAD
