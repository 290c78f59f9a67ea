"""A company's colour can be read wherever it is used; its logo becomes a small picture of our own."""

import io
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from app.problems import Refused
from app.tenants import branding

CSS = (Path(__file__).parents[2] / "public" / "static" / "page.css").read_text(encoding="utf-8")
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def picture(size: tuple[int, int] = (900, 300), kind: str = "PNG", mode: str = "RGBA") -> bytes:
    made = Image.new(mode, size, "#ffffff")
    draw = ImageDraw.Draw(made)
    width, height = size
    draw.ellipse((0, 0, width // 2, height - 1), fill="#0a7a3c")
    draw.rectangle((width // 2, height // 3, width - 1, height // 2), fill="#004455")
    out = io.BytesIO()
    made.save(out, kind)
    return out.getvalue()


def test_contrast_is_wcags() -> None:
    assert branding.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert branding.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert branding.contrast("#ffffff", "#777777") == branding.contrast("#777777", "#ffffff")


def test_the_grounds_judged_are_those_of_the_style_sheet() -> None:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    for part, grounds in ((light, branding._LIGHT_GROUNDS), (dark, branding._DARK_GROUNDS)):
        assert set(re.findall(r"--(?:paper|ground|calm|error-ground|good-ground|warn-ground): (#\w+);", part)) == set(
            grounds
        )


@given(colours)
def test_a_colour_is_readable_or_refused_with_one_that_is(colour: str) -> None:
    try:
        branding.check_colour(colour)
    except Refused as bad:
        colour = re.search(r"#[0-9a-f]{6}", bad.message_ja)[0]  # type: ignore[index]
        branding.check_colour(colour)
    light, dark = branding.palette(colour)
    assert light.main == colour
    for shades, grounds in ((light, branding._LIGHT_GROUNDS), (dark, branding._DARK_GROUNDS)):
        assert all(branding.contrast(shades.main, ground) >= 4.5 for ground in grounds)
        assert branding.contrast(shades.main, shades.on_main) >= 4.5
        assert branding.contrast(shades.pressed, shades.on_main) >= 4.5


@pytest.mark.parametrize(
    ("kind", "mode", "size"),
    [("PNG", "RGBA", (900, 300)), ("PNG", "P", (64, 64)), ("JPEG", "RGB", (4000, 900)), ("PNG", "L", (20, 2000))],
)
def test_a_logo_becomes_a_small_png(kind: str, mode: str, size: tuple[int, int]) -> None:
    made = branding.prepare_logo(picture(size, kind, mode))
    assert len(made) <= branding.LOGO_BYTES
    with Image.open(io.BytesIO(made)) as seen:
        assert seen.format == "PNG"
        assert branding.size(made) == seen.size
        assert seen.width <= 480
        assert seen.height <= 96


def test_nothing_but_the_pixels_is_kept() -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("Author", "090-1234-5678")
    out = io.BytesIO()
    Image.new("RGB", (100, 40), "#123456").save(out, "PNG", pnginfo=said)
    made = branding.prepare_logo(out.getvalue() + b"<script>alert(1)</script>")
    assert b"090-1234-5678" not in made
    assert b"script" not in made


def test_even_a_photograph_fits() -> None:
    random.seed(1)
    noise = Image.frombytes("RGB", (640, 128), random.randbytes(640 * 128 * 3))
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(branding.prepare_logo(out.getvalue())) <= branding.LOGO_BYTES


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (b"", "logo_unreadable"),
        (b"GIF89a" + bytes(100), "logo_unreadable"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "logo_unreadable"),
        (picture()[:200], "logo_unreadable"),
        (picture(size=(10, 100)), "logo_too_small"),
        (bytes(branding.LOGO_UPLOAD_BYTES + 1), "logo_too_many_bytes"),
    ],
)
def test_what_is_no_logo_is_refused_with_advice(upload: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        branding.prepare_logo(upload)
    assert refused.value.problem.code == code
    assert refused.value.message_ja.endswith("ください。")


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")
    assert len(out.getvalue()) < branding.LOGO_UPLOAD_BYTES
    with pytest.raises(Refused):
        branding.prepare_logo(out.getvalue())


def test_the_digest_names_a_look_and_no_company() -> None:
    logo = branding.prepare_logo(picture())
    assert branding.digest("", None) == ""
    names = {branding.digest("#0017c1", None), branding.digest("", logo), branding.digest("#0017c1", logo)}
    assert len(names) == 3
    assert all(re.fullmatch(r"[0-9a-f]{20}", name) for name in names)
