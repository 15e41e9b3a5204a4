"""Decisions out of the service: outcomes in the case format, with their cases masked, for training to read.

An export is a folder named by what it holds, whole or not there at all. Knows nothing of training.
"""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from models.domain import Case, Outcome
from models.privacy import Sealer, mask, masked_case, pseudonym
from models.snapshot import add_photo, seal, write_rows
from models.truth import EvidenceCorrection
from serving.audit import Action
from serving.desk_records import Correction
from serving.file_lock import awaited
from serving.photo_intake import PhotoIntake
from serving.records import ExportedDecision
from serving.refusals import PhotoCorruptError, StorageError
from serving.store import Store

LOCK_NAME = ".lock"
"""Held in the folder of exports while one is written, and while something is erased from them and the database."""
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


def export_outcomes(
    store: Store,
    photos: PhotoIntake,
    directory: Path,
    *,
    by: str,
    since: datetime | None = None,
    until: datetime | None = None,
    sealer: Sealer | None = None,
) -> Path:
    """Write the standing decisions of [since, until) under `directory` and return the new folder.

    The folder holds outcomes.jsonl, cases.jsonl (the version that was judged), corrections.jsonl (what people found
    misread in these cases, whenever), photos/ by digest and manifest.json with every file's sha256. Its name is a
    digest of its content: the same decisions give the same folder.
    It is entered in the audit trail before it is there, so that somebody answers for every export.
    sealer : if given, what is masked can be opened again with its key
    Raises StorageError when the folder can't be written.
    """
    try:
        with awaited(directory / LOCK_NAME):
            return _write(store, photos, directory, by=by, since=since, until=until, sealer=sealer)
    except OSError as error:
        raise StorageError(f"{directory} can't be written: {error.strerror}") from error


def _write(
    store: Store,
    photos: PhotoIntake,
    directory: Path,
    *,
    by: str,
    since: datetime | None,
    until: datetime | None,
    sealer: Sealer | None,
) -> Path:
    decided = store.standing_decisions(since=since, until=until)

    def note(name: str) -> None:
        store.note(Action.OUTCOMES_EXPORTED, actor=by, subject=f"export:{name}", detail={"n_outcomes": len(decided)})

    draft = Path(tempfile.mkdtemp(dir=directory, prefix=".new-"))
    try:
        write_rows(draft / "outcomes.jsonl", [_outcome(item, sealer) for item in decided])
        write_rows(draft / "cases.jsonl", [_case(item, photos, draft, sealer) for item in decided])
        exported = {(item.decision.platform, item.decision.case_id) for item in decided}
        corrections = [one for one in store.corrections_between() if (one.platform, one.case_id) in exported]
        if corrections:
            write_rows(draft / "corrections.jsonl", [_correction(one, sealer) for one in corrections])
        about = {
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "n_outcomes": len(decided),
        }
        return seal(draft, directory, about=about, note=note)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _outcome(item: ExportedDecision, sealer: Sealer | None) -> dict[str, Any]:
    decision = item.decision
    outcome = Outcome(
        case_id=decision.case_id,
        platform=decision.platform,
        ruling=decision.ruling,
        responsible=decision.responsible,
        outbound_freight=decision.remedy.outbound_freight,
        return_freight=decision.remedy.return_freight,
        refund_minor=decision.remedy.refund_minor,
        decided_by=pseudonym("p", decision.decided_by, platform="desk", sealer=sealer),
        decided_at=decision.decided_at,
        why=mask(decision.reason, sealer=sealer),
        suggestion_id=decision.suggestion_id,
        suggestion_shown=decision.suggestion_shown or (None if item.seen_before else False),
        agreed=decision.agreed,
        review_seconds=decision.review_seconds,
        overturned_on_appeal=item.overturned_on_appeal,
        stage=decision.stage,
        changed_on_lead_review=item.changed_on_lead_review,
        blind_ruling=item.blind_ruling,
        model_version=decision.model_version,
    )
    return outcome.model_dump(mode="json")


def _correction(item: Correction, sealer: Sealer | None) -> dict[str, Any]:
    said = item.said
    correction = EvidenceCorrection(
        platform=item.platform,
        case_id=item.case_id,
        kind=said.kind,
        ref=said.ref,
        label=said.label,
        holds=said.holds,
        damaged=said.damaged,
        region=said.region,
        matches_listing=said.matches_listing,
        corrected_by=pseudonym("p", item.corrected_by, platform="desk", sealer=sealer),
        corrected_at=item.corrected_at,
    )
    return correction.model_dump(mode="json")


def _case(item: ExportedDecision, photos: PhotoIntake, folder: Path, sealer: Sealer | None) -> dict[str, Any]:
    case = masked_case(item.version.case, sealer=sealer)
    paths = {
        photo_id: path
        for photo_id, digest in item.version.digests.items()
        if (path := _copy_photo(photos, digest, folder)) is not None
    }
    listed = tuple(photo.model_copy(update={"path": paths.get(photo.photo_id)}) for photo in case.photos)
    exported: Case = case.model_copy(update={"photos": listed})
    return exported.model_dump(mode="json")


def _copy_photo(photos: PhotoIntake, digest: str, folder: Path) -> str | None:
    """A stored photo whose bytes are altered or gone is absent from the export as from scoring."""
    try:
        data, media_type = photos.original(digest)
    except PhotoCorruptError:
        return None
    return add_photo(folder, data, ending=_ENDINGS.get(media_type, ""))
