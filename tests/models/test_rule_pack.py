"""Rule packs are data, checked by name and line, and chosen by platform and date."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.errors import RulePackError
from models.rule_pack import RULES_DIR, load_rule_book, shipped_rule_book
from models.vocabulary import Claim
from tests.builders import build_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES_DIR, tmp_path / "rules"))


def test_shipped_packs_cover_every_claim() -> None:
    for pack in shipped_rule_book().packs:
        assert set(pack.claims) == set(Claim)


def test_clocks_not_read_in_a_published_rule_say_so() -> None:
    taobao = next(pack for pack in shipped_rule_book().packs if pack.pack == "taobao")
    assert not any(clock.verified for clock in taobao.clocks_hours.values())


@pytest.mark.parametrize(
    ("platform", "pack"), [("taobao", "taobao"), ("tmall", "taobao"), ("jd", "jd"), ("ebay", "default")]
)
def test_the_platform_chooses_the_pack(platform: str, pack: str) -> None:
    chosen = shipped_rule_book().pack_for(build_case(platform=platform), ruled_on=date(2026, 6, 1))
    assert chosen.pack == pack


def test_taobao_applies_a_new_rule_to_cases_still_open() -> None:
    old_purchase = build_case(platform="taobao", order={"paid_at": datetime(2025, 1, 1, tzinfo=UTC)})
    book = shipped_rule_book()
    assert book.pack_for(old_purchase, ruled_on=date(2025, 8, 15)).name == "taobao@2025-08-15"
    assert book.pack_for(old_purchase, ruled_on=date(2025, 8, 14)).pack == "default"


def test_jd_applies_the_rule_of_the_time_of_the_act() -> None:
    old_purchase = build_case(platform="jd", order={"paid_at": datetime(2025, 7, 3, tzinfo=UTC)})
    new_purchase = build_case(platform="jd", order={"paid_at": datetime(2025, 7, 4, tzinfo=UTC)})
    book = shipped_rule_book()
    assert book.pack_for(old_purchase, ruled_on=date(2026, 1, 1)).pack == "default"
    assert book.pack_for(new_purchase, ruled_on=date(2026, 1, 1)).pack == "jd"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{party: seller, must_prove: delivery}",
            "{party: courier, must_prove: delivery}",
            r"default.yaml:\d+: .*party",
        ),
        ("when: {delivery: false}", "when: {provenance: false}", r"default.yaml:\d+: .*provenance is no step"),
        ("applicability: open_case", "applicability: sometimes", r"default.yaml:\d+: applicability"),
        ("claims:", "claims: [", r"default.yaml:\d+"),
        ("claims:", "claims: 5\nother:", r"default.yaml:\d+: claims: is not a mapping"),
        ("pack: default", "pack: default\nextends: [default]", r"default.yaml:\d+: extends unknown pack"),
        ("pack: default", "pack: default\nsince: 2026-13-99", r"default.yaml:\d+: month must be in"),
        ("pack: default", "pack: default\ndeep: " + "[" * 3_000, r"default.yaml:1: "),
    ],
)
def test_a_broken_pack_is_refused_with_file_and_line(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "default.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RulePackError, match=message):
        load_rule_book(folder)


def test_a_pack_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "jd.yaml").write_bytes(b"pack: jd\xff")
    with pytest.raises(RulePackError, match=r"jd.yaml:1: is not UTF-8"):
        load_rule_book(folder)


def test_a_folder_without_a_default_is_refused(folder: Path) -> None:
    for path in folder.glob("*.yaml"):
        path.unlink()
    with pytest.raises(RulePackError, match="no pack is named default"):
        load_rule_book(folder)
