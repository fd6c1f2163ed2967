"""Takes the documentation's screenshots of the page: `script/screenshots [--out DIRECTORY]`.

The server runs in this process with its embedded voice and the tests' small models; a browser opens every
tab, on a desktop in dark mode and on a phone in light mode.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.scenarios.page import Site, site_with_kokoro

_IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
MAX_BYTES = 150_000
"""Maximum bytes of a picture: one page of the documentation loads all of them."""
_WIDE = 1280
_COLOURS = (256, 128, 64, 32)
_TIMEOUT = 30_000
"""Milliseconds; the first visit waits until the page is built."""
_SPOKEN = ("The kettle is on.", "Good night.", "It is twenty past eight, and the sun is about to rise.")


@dataclass(frozen=True, slots=True)
class ViewportOptions:
    """Viewport and color scheme of a screenshot."""

    name: str
    width: int
    height: int
    scheme: str
    scale: int = 1


VIEWPORTS = (ViewportOptions("dark", 1280, 900, "dark"), ViewportOptions("phone", 390, 844, "light", scale=2))


def main(argv: Sequence[str] | None = None) -> int:
    """Take all screenshots; 1 if one is too large."""
    arguments = _parser().parse_args(argv)
    logging.getLogger("wyoming_tts").setLevel(logging.INFO)  # or the log on the page would be empty
    out = arguments.out.resolve()  # before the directory is changed
    out.mkdir(parents=True, exist_ok=True)
    too_large = False
    with (
        tempfile.TemporaryDirectory() as directory,
        chdir(directory),
        site_with_kokoro(_data_directory()) as site,
        _browser() as browser,
    ):
        for viewport in VIEWPORTS:
            for name, png in _pictures(browser, site, viewport, arguments):
                path = out / f"page-{name}-{viewport.name}.png"
                path.write_bytes(png)
                too_large |= len(png) > MAX_BYTES
                print(f"{path}: {len(png) / 1000:.0f} kB")
    return int(too_large)


def _data_directory() -> Path:
    """Make one that the page names as users know it: relative, and not as what it is, a temporary one."""
    directory = Path("wyoming-tts/data")
    directory.mkdir(parents=True)
    return directory


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=_IMAGES, metavar="DIRECTORY")
    parser.add_argument("--tab", choices=TABS, action="append", help="only this one; may be given again")
    parser.add_argument("--full", action="store_true", help="the whole page, not what a screen shows of it")
    return parser


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        yield browser
        browser.close()


def _pictures(
    browser: Browser, site: Site, viewport: ViewportOptions, arguments: argparse.Namespace
) -> Iterator[tuple[str, bytes]]:
    with browser.new_context(
        viewport={"width": viewport.width, "height": viewport.height},
        device_scale_factor=viewport.scale,
        color_scheme="dark" if viewport.scheme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
    ) as context:
        page = context.new_page()
        page.set_default_timeout(_TIMEOUT)
        page.goto(site.url)
        for name in arguments.tab or TABS:
            _open(page, name, viewport)
            TABS[name](page, site)
            yield name, reduce_size(page.screenshot(full_page=arguments.full))


def _open(page: Page, name: str, viewport: ViewportOptions) -> None:
    """Open a tab in a wide window: on a phone some tabs are in a menu."""
    page.set_viewport_size({"width": _WIDE, "height": viewport.height})
    page.locator(f"#tab-{name}-button").click()
    page.set_viewport_size({"width": viewport.width, "height": viewport.height})
    page.mouse.move(0, 0)


def reduce_size(png: bytes) -> bytes:
    """Reduce the colors of a picture until it fits into `MAX_BYTES`."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    reduced = png
    for colours in _COLOURS:
        written = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        reduced = written.getvalue()
        if len(reduced) <= MAX_BYTES:
            break
    return reduced


def _audition(page: Page, _: Site) -> None:
    page.locator('.card[data-voice="espeak-en-us"] .card-play').click()  # speech: the small models make none
    page.locator("#player-bar [data-state=done]").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def _blend(page: Page, _: Site) -> None:
    page.locator("#blend-map > summary").click()
    page.locator(".voice-map-dot").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def _stream_test(page: Page, _: Site) -> None:
    page.locator("#stream_test-start").click()
    page.locator("[data-over=true]").wait_for()
    page.locator("#stream_test").scroll_into_view_if_needed()


def _voices(page: Page, _: Site) -> None:
    page.locator("#voices [data-voice]").filter(visible=True).first.wait_for()


def _status(page: Page, site: Site) -> None:
    for text in _SPOKEN:
        body = {"input": text, "voice": "espeak-en-us", "response_format": "wav"}
        page.request.post(f"{site.url}v1/audio/speech", data=body)
    expect(page.locator(".status-recent-card tbody tr").nth(len(_SPOKEN) - 1)).to_be_visible()


TABS: Mapping[str, Callable[[Page, Site], None]] = MappingProxyType(
    {
        "audition": _audition,
        "blend": _blend,
        "stream_test": _stream_test,
        "voices": _voices,
        "status": _status,
    }
)
"""What to do in each tab before its screenshot."""


if __name__ == "__main__":
    sys.exit(main())
