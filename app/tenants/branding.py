"""How a company looks to the people it writes to: one colour and a small logo.

In: a colour and a picture as staff give them. Out: shades that can be read on our backgrounds, light and dark, and a
small PNG of our own making. Can't happen here: letters that can't be read for a company's colour, or an uploaded file
that reaches a recipient as it came.
"""

import io
import struct
from dataclasses import dataclass
from hashlib import sha256

from PIL import Image, ImageOps, UnidentifiedImageError

from app import limits
from app.problems import Kind, Refused

LOGO_UPLOAD_BYTES = limits.LOGO_UPLOAD
LOGO_BYTES = 10_240  # what a page may carry: in base64 and gzipped about as much

# WCAG 2.2, 1.4.3: 4.5 to 1 between letters and what is behind them
_CONTRAST = 4.5
# the backgrounds on which public/static/page.css writes in the main colour, and the letters it writes upon it
_LIGHT_GROUNDS = ("#ffffff", "#f2f2f2", "#e8f1fe", "#fbf5e0", "#e6f5ec", "#fdeeee")
_DARK_GROUNDS = ("#1a1a1a", "#000000", "#333333", "#032213")
_ON_LIGHT, _ON_DARK = "#ffffff", "#1a1a1a"

_BOXES = ((480, 96), (360, 72), (240, 48))  # pixels, the largest that fits the bytes is taken
_PALETTES = (256, 64, 32, 16)
_MOST_PIXELS = 25_000_000
_SMALLEST = 16  # pixels a side


@dataclass(frozen=True, slots=True)
class Shades:
    """A company's colour on one kind of ground, as #rrggbb: itself, pressed, and what is written upon it."""

    main: str
    pressed: str
    on_main: str


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (#rrggbb), 1 to 21, as WCAG defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


_TOO_LIGHT = Kind(
    "brand_colour_too_light",
    "この色は薄く、文字が読みにくくなります（コントラスト比 {contrast}、必要な値は {least} 以上）。"
    "もっと濃い色にしてください。近い色では {instead} が使えます。",
)
_TOO_FINE = Kind(
    "logo_too_fine", "ロゴの絵柄が細かすぎて、小さな画像にできません。写真ではなく、単純なロゴにしてください。"
)
_TOO_MANY_BYTES = Kind("logo_too_many_bytes", "ファイルが大きすぎます。{megabytes}MBまでの画像にしてください。")
_TOO_MANY_PIXELS = Kind("logo_too_many_pixels", "画像の縦横が大きすぎます。小さくしてからアップロードしてください。")
_TOO_SMALL = Kind("logo_too_small", "画像が小さすぎます。縦横とも{least}ピクセル以上にしてください。")
_NO_PICTURE = Kind("logo_unreadable", "PNGまたはJPEGの画像として読めません。別のファイルを選んでください。")


def check_colour(colour: str) -> None:
    """Raise Refused for a colour (#rrggbb) too light to be read, with one that could be taken instead."""
    worst = min(contrast(colour, ground) for ground in _LIGHT_GROUNDS)
    if worst < _CONTRAST:
        instead = _until_readable(colour, "#000000", _LIGHT_GROUNDS)
        raise Refused(_TOO_LIGHT(contrast=f"{worst:.1f}", least=str(_CONTRAST), instead=instead))


def palette(colour: str) -> tuple[Shades, Shades]:
    """Return the shades of a colour that passed `check_colour`, for light and for dark grounds."""
    lit = _until_readable(colour, "#ffffff", _DARK_GROUNDS)
    return (
        Shades(colour, _mixed(colour, "#000000", 0.3), _ON_LIGHT),
        Shades(lit, _mixed(lit, "#ffffff", 0.4), _ON_DARK),
    )


def _until_readable(colour: str, towards: str, grounds: tuple[str, ...]) -> str:
    for step in range(101):
        mixed = _mixed(colour, towards, step / 100)
        if all(contrast(mixed, ground) >= _CONTRAST for ground in grounds):
            return mixed
    return towards


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_rgb(colour), _rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's definition
        for part in (value / 255 for value in _rgb(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def prepare_logo(upload: bytes) -> bytes:
    """Make a PNG of at most LOGO_BYTES from an uploaded PNG or JPEG. Raises Refused."""
    picture = _opened(upload)
    for box in _BOXES:
        small = picture.copy()
        small.thumbnail(box, Image.Resampling.LANCZOS)
        for colours in _PALETTES:
            png = io.BytesIO()
            small.quantize(colours, Image.Quantize.FASTOCTREE).save(png, "PNG", optimize=True)
            if png.tell() <= LOGO_BYTES:
                return png.getvalue()
    raise Refused(_TOO_FINE())


def _opened(upload: bytes) -> Image.Image:
    if len(upload) > LOGO_UPLOAD_BYTES:
        raise Refused(_TOO_MANY_BYTES(megabytes=LOGO_UPLOAD_BYTES // 1_000_000))
    try:
        with Image.open(io.BytesIO(upload), formats=("PNG", "JPEG")) as found:
            if found.width * found.height > _MOST_PIXELS:
                raise Refused(_TOO_MANY_PIXELS())
            if min(found.size) < _SMALLEST:
                raise Refused(_TOO_SMALL(least=_SMALLEST))
            return ImageOps.exif_transpose(found).convert("RGBA")
    except Refused:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, struct.error):
        raise Refused(_NO_PICTURE()) from None


def size(png: bytes) -> tuple[int, int]:
    """Return width and height, in pixels, of a PNG that `prepare_logo` made."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def digest(colour: str, logo: bytes | None) -> str:
    """Return the name of a look; empty where there is neither colour nor logo."""
    if not colour and not logo:
        return ""
    return sha256(colour.encode() + b"|" + (logo or b"")).hexdigest()[:20]
