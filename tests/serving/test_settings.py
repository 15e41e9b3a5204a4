"""Every setting is explained to operators."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.encoders import default_cache_dir
from serving.settings import Settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENT


def test_nothing_is_documented_that_is_no_setting() -> None:
    named = {line.split("`")[1] for line in DOCUMENT.splitlines() if line.startswith("| `")}
    assert named == set(Settings.model_fields)


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_a_setting_is_read_from_its_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_REVIEW_PORT", "9001")
    assert Settings().port == 9001


def test_encoders_are_shared_with_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVIDENCE_REVIEW_CACHE_DIR", raising=False)
    assert Settings().cache_dir == default_cache_dir()


@pytest.mark.parametrize("address", ["http://idp.example", "http://127.0.0.1.evil.example", "ftp://idp.example"])
def test_an_identity_provider_is_asked_over_https_only(address: str) -> None:
    with pytest.raises(ValidationError):
        Settings(oidc_issuer=address)
    for taken in ("https://idp.example/realm", "http://127.0.0.1:8080/realm", "http://localhost"):
        assert Settings(oidc_issuer=taken).oidc_issuer == taken
