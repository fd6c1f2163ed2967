"""Draws the add-on's icon and logo: a speech bubble with a waveform."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
_FINER = 4
"""Oversampling factor, for smooth edges."""
_FROM, _TO = (38, 132, 255), (0, 190, 164)
"""Colors of the bubble's gradient, from its upper left to its lower right."""
_BARS = (0.16, 0.34, 0.62, 0.42, 0.78, 0.5, 0.28, 0.14)
"""Heights of the waveform's bars, relative to the bubble's height."""
_INK = (24, 128, 206)
"""Legible on white and on black."""
_ICON, _LOGO = 256, (250, 100)


def main() -> None:
    """Write both files."""
    icon = bubble(_ICON * _FINER).resize((_ICON, _ICON), Image.Resampling.LANCZOS)
    icon.save(ROOT / "icon.png", optimize=True)
    logo().save(ROOT / "logo.png", optimize=True)


def bubble(size: int) -> Image.Image:
    """The bubble on a transparent square."""
    shape = Image.new("L", (size, size))
    draw = ImageDraw.Draw(shape)
    top, bottom = round(size * 0.07), round(size * 0.79)
    draw.rounded_rectangle((size * 0.03, top, size * 0.97, bottom), radius=size * 0.2, fill=255)
    draw.polygon([(size * 0.2, size * 0.7), (size * 0.2, size * 0.96), (size * 0.48, size * 0.77)], fill=255)
    picture = Image.new("RGBA", (size, size))
    picture.paste(_gradient(size), mask=shape)
    _draw_bars(ImageDraw.Draw(picture), size, (top + bottom) / 2, bottom - top)
    return picture


def logo() -> Image.Image:
    """The bubble and the name beside it."""
    width, height = (length * _FINER for length in _LOGO)
    picture = Image.new("RGBA", (width, height))
    side = round(height * 0.72)
    picture.alpha_composite(bubble(side), (round(height * 0.02), (height - side) // 2))
    draw = ImageDraw.Draw(picture)
    left = side + round(height * 0.12)
    font = ImageFont.load_default(size=_fitting("wyoming-tts", width - left))
    draw.text((left, height * 0.47), "wyoming-tts", font=font, fill=_INK, anchor="lm")
    return picture.resize(_LOGO, Image.Resampling.LANCZOS)


def _fitting(text: str, width: float) -> float:
    wide = ImageFont.load_default(size=100).getlength(text)
    return 96 * width / wide


def _gradient(size: int) -> Image.Image:
    small = Image.new("RGB", (64, 64))
    for x in range(64):
        for y in range(64):
            share = (x + y) / 126
            colour = [round(a + (b - a) * share) for a, b in zip(_FROM, _TO, strict=True)]
            small.putpixel((x, y), (colour[0], colour[1], colour[2]))
    return small.resize((size, size), Image.Resampling.BICUBIC).convert("RGBA")


def _draw_bars(draw: ImageDraw.ImageDraw, size: int, middle: float, height: float) -> None:
    step = size * 0.74 / len(_BARS)
    thick = step * 0.56
    left = size * 0.13 + (step - thick) / 2
    for place, share in enumerate(_BARS):
        x, half = left + place * step, share * height / 2
        draw.rounded_rectangle((x, middle - half, x + thick, middle + half), radius=thick / 2, fill="white")


if __name__ == "__main__":
    main()
