"""Corrections as the case page shows them: what people said of the evidence, and what one press means.

Knows no store.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from models.errors import InputError
from models.vocabulary import StatementLabel
from serving.desk_records import Correction, CorrectionDraft, Region


@dataclass(frozen=True)
class Standing:
    """The corrections that stand, by where the page shows them.

    wrong : by (kind, ref, label) of what the machine said; added : labels it missed, by message;
    photos : the newest of each photo, what it shows and where
    """

    wrong: dict[tuple[str, str, str], Correction]
    added: dict[str, list[Correction]]
    photos: dict[str, Correction]


def drafted(fields: dict[str, str]) -> CorrectionDraft:
    """Return the correction that the pressed form means. Raises InputError.

    Without `holds`, `region` or `damaged` it calls `label` wrong; `region` is "x0,y0,x1,y1" in pixels of the photo.
    """
    kind, ref, label = (fields.get(name, "") for name in ("kind", "ref", "label"))
    try:
        if kind == "statement":
            return CorrectionDraft(kind=kind, ref=ref, label=StatementLabel(label), holds=fields.get("holds") == "1")
        if kind == "photo" and fields.get("region"):
            return CorrectionDraft(kind=kind, ref=ref, damaged=True, region=_region(fields["region"]))
        if kind == "photo":
            damaged = fields["damaged"] == "1" if fields.get("damaged") else label != "damaged"
            return CorrectionDraft(kind=kind, ref=ref, damaged=damaged)
        return CorrectionDraft(kind="listing_match", ref=ref, matches_listing=label != "match")
    except (ValidationError, ValueError) as error:
        raise InputError("can't be corrected", field="ref") from error


def _region(said: str) -> Region:
    x0, y0, x1, y1 = (int(part) for part in said.split(","))
    return x0, y0, x1, y1


def standing(made: Iterable[Correction]) -> Standing:
    """Sort what was not taken back; `made` is in order of time."""
    found = Standing({}, {}, {})
    for one in made:
        if one.withdrawn_at is not None:
            continue
        if one.said.kind == "statement" and one.said.holds:
            found.added.setdefault(one.said.ref, []).append(one)
            continue
        if one.said.kind == "photo":
            found.photos[one.said.ref] = one
        if (label := _label(one.said)) is not None:
            found.wrong[one.said.kind, one.said.ref, label] = one
    return found


def _label(said: CorrectionDraft) -> str | None:
    if said.kind == "statement":
        return said.label.value if said.label is not None else None
    if said.kind == "photo":
        return {True: "intact", False: "damaged", None: None}[said.damaged]
    return {True: "mismatch", False: "match", None: None}[said.matches_listing]
