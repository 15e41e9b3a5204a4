"""Rule packs: who must prove what, per platform and date, read from YAML.

Packs paraphrase published rules and name their sources. A pack's applicability says which date chooses it: a platform
may apply a new rule to cases still open (`open_case`) or the rule of the time of the act (`time_of_act`). Knows the
burden of proof and the clocks, not the evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from models.domain import Case, Frozen
from models.errors import RulePackError
from models.vocabulary import Claim, Party, Platform

RULES_DIR = Path(__file__).parent / "rules"

Proof = Literal[
    "proper_sign_off",
    "condition_at_sign_off",
    "prima_facie",
    "explanation_or_rebuttal",
    "inspection_report",
    "provenance",
    "delivery",
    "return_received",
    "no_reason_return_open",
]
Verdict = Literal["upheld", "dismissed", "undetermined"]
Situation = Literal["any", "before_receipt_confirmed", "after_receipt_confirmed", "visible", "hidden"]


class BurdenStep(Frozen):
    party: Party
    must_prove: Proof


class BurdenOutcome(Frozen):
    """The verdict when every proof in `when` stands (true) or fails (false); an empty `when` always holds."""

    when: dict[Proof, bool] = Field(default_factory=dict)
    verdict: Verdict


class Burden(Frozen):
    """The steps of one claim in order, and the first outcome that fits."""

    steps: tuple[BurdenStep, ...] = Field(min_length=1)
    outcomes: tuple[BurdenOutcome, ...] = Field(min_length=1)

    def outcome(self, proofs: Mapping[Proof, bool]) -> tuple[int, Verdict]:
        """Return (index, verdict) of the first outcome that fits; an absent proof has failed."""
        for place, outcome in enumerate(self.outcomes):
            if all(proofs.get(proof, False) == wanted for proof, wanted in outcome.when.items()):
                return place, outcome.verdict
        raise RulePackError("no outcome fits: the last one must have no condition")


class WorkingHours(Frozen):
    """The hours of a day that count, on a clock `utc_offset` hours ahead of UTC."""

    opens: int = Field(ge=0, le=23)
    closes: int = Field(ge=1, le=24)
    weekdays_only: bool = False
    utc_offset: float = Field(8, ge=-12, le=14)

    @model_validator(mode="after")
    def _opens_before_closing(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("opens must be earlier than closes")
        return self


class Clock(Frozen):
    """A deadline in hours, of which only the working ones count where `working` is given.

    `verified` is false where no published rule was read for it; `counted` says in words what counts.
    """

    hours: int = Field(gt=0)
    verified: bool
    counted: str = "all hours"
    working: WorkingHours | None = None


class RulePack(Frozen):
    pack: str
    version: str
    platforms: tuple[Platform, ...] = Field(min_length=1)
    valid_from: date
    valid_to: date | None = None
    applicability: Literal["open_case", "time_of_act"]
    sources: tuple[str, ...] = Field(min_length=1)
    standard: str = "a lay person's view"
    claims: dict[Claim, dict[Situation, Burden]]
    no_reason_return_days: int = Field(default=7, ge=0)
    clocks_hours: dict[str, Clock] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """`pack@version`, as a suggestion cites it."""
        return f"{self.pack}@{self.version}"

    def burden(self, claim: Claim, situation: Situation) -> Burden:
        situations = self.claims[claim]
        return situations.get(situation) or situations["any"]


@dataclass(frozen=True)
class RuleBook:
    """All packs, and which of them a case falls under."""

    packs: tuple[RulePack, ...]

    def pack_for(self, case: Case, *, ruled_on: date) -> RulePack:
        """Return the pack of the case's platform that applies, the plain default where the platform has none.

        ruled_on : the day of ruling; chooses the version where the platform applies new rules to open cases. Where it
        applies the rule of the time of the act, the day of payment (else of opening) chooses.
        """
        of_platform = [pack for pack in self.packs if case.platform in pack.platforms]
        acted_on = (case.order.paid_at or case.opened_at).date()
        for pack in sorted(of_platform, key=lambda pack: pack.valid_from, reverse=True):
            day = ruled_on if pack.applicability == "open_case" else acted_on
            if pack.valid_from <= day and (pack.valid_to is None or day <= pack.valid_to):
                return pack
        return next(pack for pack in self.packs if pack.pack == "default")


def load_rule_book(folder: Path = RULES_DIR) -> RuleBook:
    """Read every pack in `folder`. Raises RulePackError naming file and line."""
    raw = {path: _read_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    by_name = {str(content.get("pack")): content for content in raw.values()}
    packs = []
    for path, content in raw.items():
        base_name = content.get("extends")
        if not isinstance(base_name, str | None) or (base_name is not None and base_name not in by_name):
            raise RulePackError(f"extends unknown pack {base_name!r}", field=f"{path.name}:{_line(path, 'extends')}")
        base = by_name[base_name] if base_name is not None else {}
        merged = {**base, **{key: value for key, value in content.items() if key not in ("extends", "claims")}}
        merged["claims"] = {**base.get("claims", {}), **content.get("claims", {})}
        packs.append(_validated(merged, path))
    if "default" not in {pack.pack for pack in packs}:
        raise RulePackError("no pack is named default", field=str(folder.name))
    return RuleBook(tuple(packs))


@cache
def shipped_rule_book() -> RuleBook:
    """Return the packs in `models/rules`."""
    return load_rule_book()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise RulePackError(str(getattr(error, "problem", error)), field=f"{path.name}:{line}") from error
    except UnicodeDecodeError as error:
        raise RulePackError("is not UTF-8", field=f"{path.name}:1") from error
    except (ValueError, RecursionError) as error:
        raise RulePackError(str(error) or "is nested too deeply", field=f"{path.name}:1") from error
    if not isinstance(content, dict):
        raise RulePackError("is not a mapping", field=f"{path.name}:1")
    if not isinstance(content.get("claims", {}), dict):
        raise RulePackError("claims: is not a mapping", field=f"{path.name}:{_line(path, 'claims')}")
    return content


def _validated(content: dict[str, Any], path: Path) -> RulePack:
    try:
        pack = TypeAdapter(RulePack).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = [str(part) for part in first["loc"]]
        raise RulePackError(f"{'.'.join(keys)}: {first['msg']}", field=f"{path.name}:{_line(path, *keys)}") from error
    for claim in Claim:
        if claim not in pack.claims:
            raise RulePackError(f"claims.{claim}: is required", field=f"{path.name}:{_line(path, 'claims')}")
        for situation, burden in pack.claims[claim].items():
            place = f"claims.{claim}.{situation}"
            line = _line(path, "claims", claim, situation)
            if burden.outcomes[-1].when:
                raise RulePackError(f"{place}: the last outcome must have no condition", field=f"{path.name}:{line}")
            proofs = {step.must_prove for step in burden.steps}
            for outcome in burden.outcomes:
                for proof in outcome.when:
                    if proof not in proofs:
                        raise RulePackError(f"{place}: {proof} is no step", field=f"{path.name}:{line}")
    return pack


def _line(path: Path, *keys: str) -> int:
    """Return the line of the deepest of `keys` that the file holds."""
    node, line = yaml.compose(path.read_text(encoding="utf-8")), 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = [(name, value) for name, value in node.value if name.value == key]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
        else:
            break
    return line
