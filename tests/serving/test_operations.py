"""What operators are handed fits the service: figures asked for are exported, files are well-formed."""

import json
import re
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.migration import downgrade
from serving.records import Role
from serving.settings import PREFIX, Settings
from tests.serving.conftest import headers_of

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "ops" / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((ROOT / "ops" / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
ASKED = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
    alert["expr"] for alert in ALERTS
]
_FIGURE = re.compile(r"\b(?:evidence_review|process)_\w+")
_LABELS = re.compile(r"((?:evidence_review|process)_\w+)\{([^}]*)\}|by \(([^)]*)\)")


def exported(client: TestClient, house: House) -> dict[str, set[str]]:
    """Return the labels of every figure that the service exports after a request and a case."""
    client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=headers_of(house, Role.SERVICE))
    text = client.get("/metrics", headers=headers_of(house, Role.ENGINEER)).text
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = re.split(r"[{ ]", line, maxsplit=1)[0]
            found.setdefault(name, set()).update(re.findall(r"(\w+)=\"", line))
    return found


def test_every_figure_that_dashboard_and_alarms_ask_for_is_exported(client: TestClient, house: House) -> None:
    known = exported(client, house)
    assert len(ASKED) >= 18
    for expression in ASKED:
        names = _FIGURE.findall(expression)
        assert set(names) <= set(known), expression
        labels = set().union(*(known[name] for name in names))
        for name, matched, grouped in _LABELS.findall(expression):
            assert set(re.findall(r"(\w+)[!=]", matched)) <= known.get(name, set()), expression
            assert set(filter(None, re.split(r"[, ]+", grouped))) <= labels, expression


def test_a_figure_tells_how_long_the_oldest_job_and_message_wait(client: TestClient, house: House) -> None:
    client.post(
        "/api/v1/cases", json={**EXAMPLE_CASE, "photos": [], "chat": []}, headers=headers_of(house, Role.SERVICE)
    )
    text = client.get("/metrics", headers=headers_of(house, Role.ENGINEER)).text
    value = re.search(r"^evidence_review_oldest_open_job_seconds (\S+)", text, re.M)
    assert value is not None
    assert 0 < float(value[1]) < 60
    assert "\nevidence_review_oldest_waiting_message_seconds 0.0" in text


def test_every_alarm_says_what_it_means_and_the_handbook_what_to_do() -> None:
    handbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for alert in ALERTS:
        assert alert["annotations"]["summary"]
        assert f"`{alert['alert']}`" in handbook


def test_the_compose_file_follows_the_specification() -> None:
    merged = json.dumps(yaml.safe_load(COMPOSE))  # with anchors and merge keys resolved, as compose does
    spec = compose_spec.PyCompose.from_json(merged)
    assert {"api", "worker", "database", "mlflow"} <= set(spec.service_names())


@pytest.mark.parametrize("fault", ["  worker:\n    comand: [x]\n", "  worker:\n    ports: {a: b}\n"])
def test_a_compose_file_that_breaks_the_specification_is_noticed(fault: str) -> None:
    with pytest.raises(ValueError, match="worker"):
        compose_spec.PyCompose.from_yaml("services:\n" + fault)


def test_every_setting_in_the_container_files_is_one_of_ours() -> None:
    text = COMPOSE + (ROOT / "ops" / "Containerfile").read_text(encoding="utf-8")
    named = set(re.findall(rf"{PREFIX}(\w+)", text))
    assert named <= {name.upper() for name in Settings.model_fields}
    assert len(named) >= 8


def environment_of_the_api(**shell: str) -> dict[str, str]:
    """Return the environment that compose gives the service, started from a shell with these variables."""
    given: dict[str, str | None] = yaml.safe_load(COMPOSE)["services"]["api"]["environment"]
    told = {name: shell.get(name) if value is None else value for name, value in given.items()}
    fill = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
    return {
        name: fill.sub(lambda found: shell.get(found[1]) or found[2], value)
        for name, value in told.items()
        if value is not None
    }


def settings_in_containers(**shell: str) -> Settings:
    ours = {name: value for name, value in environment_of_the_api(**shell).items() if name.startswith(PREFIX)}
    return Settings(host="0.0.0.0", **{name.removeprefix(PREFIX).lower(): value for name, value in ours.items()})


@pytest.mark.parametrize(
    ("shell", "secure"),
    [
        ({}, False),
        ({"PUBLIC_URL": "https://desk.example"}, True),
        ({"PUBLIC_URL": "http://desk.example"}, True),
        ({"PUBLIC_URL": "http://desk.example", f"{PREFIX}SECURE_COOKIES": "false"}, False),
    ],
)
def test_cookies_in_containers_are_secure_wherever_browsers_come_from_afar(shell: dict[str, str], secure: bool) -> None:
    assert settings_in_containers(**shell).cookies_are_secure is secure


def test_the_password_of_the_database_in_containers_may_hold_any_character() -> None:
    password = "p@ss/w:rd#1"
    database = make_url(settings_in_containers(POSTGRES_PASSWORD=password).database_url)
    assert (database.host, database.database, database.username) == ("database", "review", "review")
    assert (database.password or environment_of_the_api(POSTGRES_PASSWORD=password)["PGPASSWORD"]) == password


def test_the_files_that_the_container_files_copy_and_mount_are_there() -> None:
    services: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    mounted = [volume.split(":")[0] for s in services.values() for volume in s.get("volumes", ()) if volume[0] == "."]
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "ops" / "Containerfile").read_text(), re.M)
    for name in [*mounted, *(part for line in copied for part in line.split()), services["api"]["build"]["dockerfile"]]:
        assert (ROOT / name).exists(), name


def test_a_service_whose_database_has_another_schema_isnt_ready(client: TestClient, house: House) -> None:
    assert client.get("/health/ready").json()["database"] is True
    with house.store.database.alter() as connection:
        downgrade(connection, to="0007_photo_checks")
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (503, "unavailable", False)
