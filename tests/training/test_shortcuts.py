"""The controls see what they say and nothing else: surroundings, colours, file traits."""

import io

import numpy as np
from PIL import Image, ImageDraw

from training.shortcuts import FILE_TRAITS, background_only, borders_only, colours, file_traits, fit_control

GREY = (127, 127, 127)


def _on_white(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (200, 160), (250, 250, 250))
    ImageDraw.Draw(image).ellipse((60, 40, 140, 120), fill=colour)
    return image


def test_the_background_is_the_same_whatever_the_goods_are() -> None:
    red, blue = background_only(_on_white((200, 30, 30))), background_only(_on_white((30, 30, 200)))
    difference = np.abs(np.asarray(red, int) - np.asarray(blue, int)).max()
    assert difference <= 1
    assert red.getpixel((100, 80)) == GREY
    assert red.getpixel((5, 5)) == (250, 250, 250)


def test_where_no_object_stands_out_the_middle_is_hidden() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    hidden = background_only(Image.fromarray(noise))
    assert hidden.getpixel((60, 50)) == GREY
    assert hidden.getpixel((0, 0)) == tuple(noise[0, 0])


def test_borders_keep_the_rim_alone() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    altered = np.asarray(borders_only(Image.fromarray(noise)))
    assert (altered[8:-8, 8:-8] == 127).all()
    assert (altered[:8] == noise[:8]).all()


def test_colours_do_not_know_where_they_are() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    shuffled = np.random.default_rng(1).permutation(noise.reshape(-1, 3)).reshape(64, 64, 3)
    assert np.allclose(colours(Image.fromarray(noise)), colours(Image.fromarray(shuffled)))
    assert np.isclose(colours(Image.fromarray(noise)).sum(), 1)


def test_file_traits_tell_size_compression_and_kind_but_not_the_picture() -> None:
    traits = {}
    for quality in (30, 95):
        file = io.BytesIO()
        _on_white((200, 30, 30)).save(file, "JPEG", quality=quality)
        traits[quality] = dict(zip(FILE_TRAITS, file_traits(file.getvalue()), strict=True))
    assert traits[30]["quantisation"] > traits[95]["quantisation"]
    assert np.isclose(np.exp(traits[30]["log_width"]), 200)
    assert traits[30]["is_png"] == traits[30]["has_exif"] == 0
    file = io.BytesIO()
    _on_white((200, 30, 30)).save(file, "PNG")
    assert file_traits(file.getvalue())[FILE_TRAITS.index("is_png")] == 1


def test_a_control_finds_a_shortcut_that_is_there() -> None:
    rng = np.random.default_rng(0)
    y_true = np.arange(200) % 2 == 0
    X = np.column_stack([y_true + rng.normal(0, 0.3, 200), rng.normal(size=200)])
    train = np.arange(200) < 100
    found = fit_control(X, y_true, train)
    assert found[y_true[~train]].min() > np.median(found[~y_true[~train]])
