"""A wired service on a database of its own, with and without a model."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.registry import ModelRegistry
from serving.app import create_app
from serving.champion import ChampionKeeper
from serving.house import House, build_house
from serving.records import Role, User
from serving.refusals import UnknownError
from serving.settings import Settings
from tests.postgres import PostgresServer
from tests.registries import fill_registry, load
from tests.suggesters import build_suggester

Headers = dict[str, str]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the newest schema and nothing in it, to copy."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    house = build_house(Settings(database_url=f"sqlite:///{path}"))
    house.store.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def empty_postgres(postgres: PostgresServer) -> str:
    """The name of a PostgreSQL database with the newest schema and nothing in it, to copy."""
    name = postgres.new_database()
    house = build_house(Settings(database_url=postgres.url(name)))
    house.store.close()
    return name


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """sqlite, unless the test's folder or module asks for both: see `on_both_databases`."""
    return str(getattr(request, "param", "sqlite"))


def on_both_databases(metafunc: pytest.Metafunc) -> None:
    """Run every test that has a database on SQLite and on PostgreSQL; for a `pytest_generate_tests`.

    Tests with a list of inputs are left on SQLite: they are about reading the input.
    """
    listed = metafunc.definition.get_closest_marker("parametrize") is not None
    if "database_kind" in metafunc.fixturenames and not listed:
        metafunc.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(
    database_kind: str, tmp_path: Path, empty_database: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The address of an empty database of this test's own."""
    if database_kind == "sqlite":
        shutil.copy(empty_database, tmp_path / "review.db")
        yield f"sqlite:///{tmp_path}/review.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.new_database(template=request.getfixturevalue("empty_postgres"))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def settings(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"EVIDENCE_REVIEW_{name.upper()}", raising=False)
    return Settings(
        database_url=database_url,
        photo_dir=tmp_path / "photos",
        outcomes_dir=tmp_path / "outcomes",
        backlog_dir=tmp_path / "backlogs",
        registry_uri=f"sqlite:///{tmp_path}/registry.db",
        models_dir=tmp_path / "models",
        max_case_bytes=200_000,
        max_photo_bytes=100_000,
        max_request_bytes=1_000_000,
        worker_poll_s=0.02,
        blind_share=0,
        reason_required=False,
    )


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    """The service without a model."""
    built = build_house(settings)
    yield built
    built.store.close()


@pytest.fixture
def scoring_house(settings: Settings) -> Iterator[House]:
    """The service with a model that reads known words."""
    built = build_house(settings, build_suggester())
    yield built
    built.store.close()


@pytest.fixture(scope="session")
def four_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry of four models; see `fill_registry`."""
    return fill_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def registry(four_models: Path, tmp_path: Path) -> ModelRegistry:
    """A registry of this test's own, where the settings say it is."""
    shutil.copy(four_models / "registry.db", tmp_path / "registry.db")
    return ModelRegistry(f"sqlite:///{tmp_path}/registry.db")


@pytest.fixture
def client(house: House) -> TestClient:
    return TestClient(create_app(house.settings, house=house))


@pytest.fixture
def scoring_client(scoring_house: House) -> TestClient:
    """Its worker runs only inside `with scoring_client:`."""
    return TestClient(create_app(scoring_house.settings, house=scoring_house))


def user_of(house: House, role: Role, *, name: str | None = None) -> User:
    """Return a user of that role, made if need be."""
    wanted = name or f"test-{role.value}"
    try:
        return house.store.accounts.named(wanted)
    except UnknownError:
        return house.gatekeeper.add_user(wanted, role=role, by="system:test")


def headers_of(house: House, role: Role, *, name: str | None = None) -> Headers:
    token = house.gatekeeper.make_token(user_of(house, role, name=name), label="test", by="system:test")
    return {"Authorization": f"Bearer {token}"}


def keyed(headers: Headers) -> Headers:
    """Return the headers with an Idempotency-Key of their own, unless they have one."""
    return {"Idempotency-Key": uuid.uuid4().hex, **headers}


@pytest.fixture
def as_role(house: House) -> Callable[..., Headers]:
    return lambda role, name=None: headers_of(house, role, name=name)


@pytest.fixture
def lead(house: House) -> Headers:
    return headers_of(house, Role.LEAD)


@pytest.fixture
def arbitrator(house: House) -> Headers:
    return headers_of(house, Role.ARBITRATOR)


@pytest.fixture
def service(house: House) -> Headers:
    return headers_of(house, Role.SERVICE)


@pytest.fixture
def keeper(registry: ModelRegistry, scoring_house: House, tmp_path: Path) -> ChampionKeeper:
    return ChampionKeeper(
        registry, scoring_house.store, scoring_house.scoring, models_dir=tmp_path / "models", load=load, poll_s=0.02
    )
