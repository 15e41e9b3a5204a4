"""Photos are looked up among those of other cases; what is found is kept and moves nothing."""

import io
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image, ImageOps

from models.integrity import ReusedPhoto, ScreenshotText
from models.vocabulary import Platform
from serving.house import House
from serving.inspection import Inspector
from serving.records import CaseKey, Role, StoredVersion
from tests.builders import build_case
from tests.models.test_fingerprint import scene
from tests.serving.conftest import headers_of, user_of


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def file_case(
    house: House,
    case_id: str,
    image: Image.Image,
    *,
    role: str = "received",
    platform: Platform = Platform.TAOBAO,
    **order: Any,
) -> StoredVersion:
    """Take in a case with one photo."""
    photos = [{"photo_id": "p1", "role": role, "filed_by": "buyer"}]
    order = {"order_id": f"o-{case_id}", **order}
    case = build_case(case_id=case_id, platform=platform, photos=photos, order=order)
    key = CaseKey(case.platform, case_id)
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    house.store.add_photo(key, "p1", house.photo_intake.keep(jpeg(image)), by=user_of(house, Role.SERVICE))
    return house.store.version(key)


def reused(house: House, version: StoredVersion) -> list[ReusedPhoto]:
    found = house.inspector.inspect(version, by="system:test").findings
    return [finding for finding in found if isinstance(finding, ReusedPhoto)]


def test_a_cropped_mirrored_photo_of_another_buyer_is_told(house: House) -> None:
    file_case(house, "A", scene(1), buyer_id="b-1")
    file_case(house, "B", scene(2), buyer_id="b-2")
    changed = ImageOps.mirror(scene(1).crop((40, 20, 460, 345)))
    found = reused(house, file_case(house, "C", changed, buyer_id="b-3"))
    assert [(item.other_case_id, item.same_buyer, item.same_seller, item.mirrored) for item in found] == [
        ("A", False, True, True)
    ]


def test_the_page_of_a_case_says_how_much_was_found(client: TestClient, house: House) -> None:
    first, again = (file_case(house, name, scene(1), buyer_id=name) for name in ("TB-1", "TB-2"))
    reader = headers_of(house, Role.LEAD)
    assert "照片检查<" in client.get("/cases/taobao/TB-2", headers=reader).text
    house.inspector.inspect(first, by="system:test")
    house.inspector.inspect(again, by="system:test")
    assert "照片检查：1 项发现" in client.get("/cases/taobao/TB-2", headers=reader).text


def test_the_same_bytes_are_told_too(house: House) -> None:
    file_case(house, "A", scene(1))
    assert [item.other_case_id for item in reused(house, file_case(house, "B", scene(1)))] == ["A"]


def test_cases_of_one_order_may_share_their_photos(house: House) -> None:
    file_case(house, "A", scene(1), order_id="o-1")
    assert reused(house, file_case(house, "B", scene(1), order_id="o-1")) == []


def test_equal_ids_of_two_platforms_are_no_order_and_no_people_in_common(house: House) -> None:
    same = {"order_id": "1", "buyer_id": "b", "seller_id": "s"}
    file_case(house, "A", scene(1), **same)
    (found,) = reused(house, file_case(house, "B", scene(1), platform=Platform.JD, **same))
    assert (found.other_case_id, found.same_buyer, found.same_seller) == ("A", False, False)


def test_a_sellers_listing_picture_may_stand_in_all_of_its_cases(house: House) -> None:
    file_case(house, "A", scene(1), role="listing")
    assert reused(house, file_case(house, "B", scene(1), role="listing")) == []
    assert reused(house, file_case(house, "C", scene(1), role="before_shipping")) == []


def test_a_photo_that_came_in_later_is_found_on_the_next_look(house: House) -> None:
    first = file_case(house, "A", scene(1))
    assert reused(house, first) == []
    file_case(house, "B", scene(1))
    assert [item.other_case_id for item in reused(house, first)] == ["B"]


def test_personal_data_read_from_a_screenshot_is_masked_before_it_is_kept(house: House) -> None:
    inspector = Inspector(house.store, house.photos, reader=lambda data: ["请退款到 13812345678"])
    version = file_case(house, "A", scene(1), role="screenshot")
    inspector.inspect(version, by="system:test")
    kept = house.store.photo_checks.report_on(version)
    assert kept is not None
    assert kept.findings == (ScreenshotText(ref="p1", n_lines=1, absent=("请退款到 [phone]",)),)


def test_a_photo_whose_file_is_gone_costs_only_its_own_findings(house: House) -> None:
    file_case(house, "A", scene(1))
    version = file_case(house, "B", scene(1).crop((20, 20, 470, 350)))
    for path in house.photos.directory.rglob("*"):
        if path.is_file():
            path.unlink()
    assert reused(house, version) == []
