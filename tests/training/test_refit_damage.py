"""Photos that people labelled make an expert on their category; too few are said and change nothing."""

import json
from pathlib import Path

import pytest

from models.case_file import CaseFile
from models.domain import Outcome
from models.encoders import PHOTO_SIDE, default_cache_dir, prepare_image_encoder
from models.images import open_photo
from models.photo import DamageClassifier
from models.registry import SHIPPED_DIR
from models.truth import EvidenceCorrection, PhotoTruth
from models.vocabulary import Platform
from tests.builders import build_case
from training.refit_damage import refit_damage
from training.snapshot import DecidedCase

SAMPLES = Path(__file__).parents[2] / "datasets" / "samples"
N_PHOTOS = 16


def labelled(category: str, n_photos: int) -> list[DecidedCase]:
    """Return cases of one photo each, labelled with what the sample photo shows."""
    lines = (SAMPLES / "photos.jsonl").read_text(encoding="utf-8").splitlines()
    truths = [PhotoTruth.model_validate_json(line) for line in lines]
    known = [t for t in truths if t.damaged is not None and (SAMPLES / f"photos/{t.case_id}-{t.photo_id}.jpg").exists()]
    damaged = [t for t in known if t.damaged][: n_photos // 2]
    intact = [t for t in known if not t.damaged][: n_photos - len(damaged)]
    return [
        DecidedCase(
            CaseFile(
                build_case(case_id=f"TB-{place}", listing={"title": "杯", "category": category}),
                {"p1": (SAMPLES / f"photos/{truth.case_id}-{truth.photo_id}.jpg").read_bytes()},
            ),
            Outcome.model_validate({"case_id": f"TB-{place}", "ruling": "refund"}),
            (
                EvidenceCorrection(
                    platform=Platform.TAOBAO, case_id=f"TB-{place}", kind="photo", ref="p1", damaged=truth.damaged
                ),
            ),
        )
        for place, truth in enumerate([*damaged, *intact])
    ]


@pytest.fixture(scope="module")
def classifier() -> DamageClassifier:
    return DamageClassifier.load(SHIPPED_DIR / "damage")


def test_a_category_with_enough_labelled_photos_gets_an_expert_that_is_saved(
    classifier: DamageClassifier, tmp_path: Path
) -> None:
    encoder = prepare_image_encoder(cache_dir=default_cache_dir())
    cases = labelled("bone china", N_PHOTOS)
    refit = refit_damage(classifier, cases, encoder=encoder)
    assert (refit.learned, refit.left) == ({"bone china": N_PHOTOS}, {})
    refit.classifier.save(tmp_path)
    assert json.loads((tmp_path / "head.json").read_text(encoding="utf-8"))["types"] == ["bone china"]
    again = DamageClassifier.load(tmp_path)
    photo = open_photo(cases[0].file.photos["p1"], needed_side=PHOTO_SIDE)
    features = encoder.encode(photo.image, scale=photo.scale)
    assert again.score(features).probability > classifier.score(features).probability - 0.2


def test_too_few_labelled_photos_change_nothing_and_say_so(classifier: DamageClassifier) -> None:
    refit = refit_damage(
        classifier, labelled("bone china", 6), encoder=prepare_image_encoder(cache_dir=default_cache_dir())
    )
    assert refit.classifier is classifier
    assert refit.learned == {}
    assert refit.left["bone china"].startswith("6 labelled photos, 3 of them damaged")
