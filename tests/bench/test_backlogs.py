"""Made-up backlogs: every case fits the intake format, and nothing in them repeats."""

from bench.backlogs import case_content, photo_bytes
from models.domain import parse_case


def test_cases_fit_the_intake_format_and_no_two_messages_are_alike() -> None:
    cases = [parse_case(case_content(number, n_photos=2)) for number in range(900)]
    texts = [message.text for case in cases for message in case.chat]
    assert len(set(texts)) == len(texts) == 9_000
    assert len({photo.path for case in cases for photo in case.photos}) == 1_800


def test_photos_have_bytes_of_their_own_and_12_megapixels() -> None:
    import io

    from PIL import Image

    first, same_picture = photo_bytes(1), photo_bytes(5)
    assert first != same_picture
    pictures = [Image.open(io.BytesIO(data)) for data in (first, same_picture)]
    assert pictures[0].size == (4000, 3000)
    assert pictures[0].tobytes() == pictures[1].tobytes()
