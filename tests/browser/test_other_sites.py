"""Pages of other sites in a real Chromium: nothing speaks, downloads, changes or builds anything for them.

`127.0.0.1` stands for HTTPS and this machine, to which the browser sends Fetch Metadata; `nas.local` for a
server on the network over plain HTTP, to which it does not. The stranger's requests come with and without a
Referer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import NOWHERE
from tests.browser.listen_tab import EMBEDDED
from tests.browser.page_actions import TIMEOUT_MILLISECONDS
from tests.support.page_site import Site, site_in_a_thread
from wyoming_tts.transports.http.guard import Guard, Receive, Scope, Send

MISSING_VOICE = "de_DE-thorsten-medium"
HOSTS = ("127.0.0.1", "nas.local")
ELEMENTS = {
    "audio": "<audio src='{speech}' preload=auto></audio>",
    "image": "<img src='{speech}'>",
    "script": "<script src='{speech}'></script>",
    "stylesheet": "<link rel=stylesheet href='{speech}'>",
    "prefetch": "<link rel=prefetch href='{speech}'>",
    "frame": "<iframe src='{speech}'></iframe>",
    "fetch": "<script>fetch('{speech}', {{mode: 'no-cors'}})</script>",
    "fetch by post": "<script>fetch('{api}', {{mode: 'no-cors', method: 'POST', body: '{body}'}})</script>",
    "beacon": "<script>navigator.sendBeacon('{api}', '{body}')</script>",
    "server-sent events": "<script>new EventSource('{speech}')</script>",
    "form": "<form method=post action='{api}' enctype=text/plain target=there><input name='{body}'></form>"
    "<iframe name=there></iframe><script>document.forms[0].submit()</script>",
    "websocket": "<script>new WebSocket('{socket}')</script>",
    "window": "<script>open('{speech}')</script>",
    "window without an opener": "<script>open('{speech}', '_blank', 'noopener,noreferrer')</script>",
    "image of the page": "<img src='{page}'>",
    "frame of the page": "<iframe src='{page}'></iframe>",
    "prefetch of the page": "<link rel=prefetch href='{page}'>",
}


@dataclass
class StrangersSite:
    """A web server of somebody else, whose one page has what `html` says."""

    html: str = ""
    referrer_policy: str = "unsafe-url"
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://stranger.test:{self.port}/"


@pytest.fixture(scope="module")
def stranger() -> Iterator[StrangersSite]:
    there = StrangersSite()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<link rel=icon href='data:,'>{there.html}".encode()  # else an icon is asked for, late
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Referrer-Policy", there.referrer_policy)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.port = server.server_address[1]
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield there
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def unvisited(installed_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A product whose page nobody has opened yet."""
    data = tmp_path_factory.mktemp("unvisited")
    with site_in_a_thread(
        data, data_dir=[data], state_dir=data, voice=EMBEDDED, offline=False, hub_endpoint=NOWHERE
    ) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        locale="en-GB"
    )  # else a headless shell sends no Accept-Language, unlike browsers
    yield context
    context.close()


class Answers:
    """Knows which requests a server has answered, WebSockets too.

    The browser is not asked: of a form that is sent in a frame it sometimes tells no end.
    """

    def __init__(self, site: Site, patch: pytest.MonkeyPatch) -> None:
        self._paths: list[str] = []
        self._changed = Condition()
        serve = Guard.__call__

        async def count(guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
            await serve(guard, scope, receive, send)
            if guard is site.access.guard:
                with self._changed:
                    self._paths.append(scope["path"])
                    self._changed.notify_all()

        patch.setattr(Guard, "__call__", count)

    def wait_for(self, count: int, of: str = "/") -> None:
        """Wait until as many requests are answered, of paths that begin with `of`."""

        def are_enough() -> bool:
            return sum(path.startswith(of) for path in self._paths) >= count

        with self._changed:
            assert self._changed.wait_for(are_enough, TIMEOUT_MILLISECONDS / 1000), self._paths


def effects_on(site: Site) -> tuple[int, int, str]:
    """How many utterances were spoken and downloads begun, and whether the page was built."""
    return site.recent.count, len(site.parts.downloads.status()), repr(site.http._page)


def own_url(site: Site, host: str) -> str:
    return site.url.replace("127.0.0.1", host)


def open_page_with(element: str, visitor: BrowserContext, stranger: StrangersSite, base: str) -> Page:
    """Open the stranger's page with an element that requests something of the server at `base`."""
    speech = f"{base}synthesize-stream?text=hi&voice={MISSING_VOICE}"
    stranger.html = element.format(
        speech=speech,
        page=base,
        api=f"{base}v1/audio/speech",
        socket=f"{base}v1/audio/speech/stream/ws".replace("http", "ws", 1),
        body=f'{{"input": "hi", "voice": "{MISSING_VOICE}", "a": "=" }}'.replace('"', "&quot;"),
    )
    page = visitor.new_page()
    page.goto(stranger.url, wait_until="domcontentloaded")
    return page


@pytest.mark.parametrize("referrer_policy", ["unsafe-url", "no-referrer"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_strangers_page_has_no_effect(
    unvisited: Site,
    visitor: BrowserContext,
    stranger: StrangersSite,
    monkeypatch: pytest.MonkeyPatch,
    *,
    host: str,
    referrer_policy: str,
) -> None:
    before, answers = effects_on(unvisited), Answers(unvisited, monkeypatch)
    stranger.referrer_policy = referrer_policy
    open_page_with("".join(ELEMENTS.values()), visitor, stranger, own_url(unvisited, host))
    answers.wait_for(len(ELEMENTS))
    assert effects_on(unvisited) == before
    assert before[2] == "<PageMount not built>"


def test_a_listed_sites_audio_speaks(
    site: Site, visitor: BrowserContext, stranger: StrangersSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(site, monkeypatch)
    listed = site.settings.model_copy(update={"cors_origins": (f"http://stranger.test:{stranger.port}",)})
    stranger.referrer_policy = "strict-origin-when-cross-origin"
    site.access.replace(listed)
    try:
        for number, host in enumerate(HOSTS, start=1):
            before = site.recent.count
            page = open_page_with(
                "<audio src='{speech}' preload=auto>", visitor, stranger, own_url(site, host)
            )
            page.wait_for_function("document.querySelector('audio').readyState === 4")
            answers.wait_for(number, of="/synthesize-stream")
            assert site.recent.count == before + 1, host
    finally:
        site.access.replace(site.settings)


@pytest.mark.parametrize("host", HOSTS)
def test_the_address_of_speech_shows_a_player_that_speaks_when_it_is_started(
    site: Site, visitor: BrowserContext, host: str
) -> None:
    page, before = visitor.new_page(), site.recent.count
    page.goto(f"{own_url(site, host)}synthesize-stream?text=hi")
    assert site.recent.count == before
    page.evaluate("void document.querySelector('audio').play()")
    page.evaluate("new Promise((done) => document.querySelector('audio').addEventListener('ended', done))")
    assert site.recent.count == before + 1


def test_a_visitor_from_another_site_opens_the_page_by_its_link(
    unvisited: Site, visitor: BrowserContext, stranger: StrangersSite
) -> None:
    page = open_page_with("<a href='{page}'>Go</a>", visitor, stranger, own_url(unvisited, "nas.local"))
    page.get_by_role("link").click()
    link = page.get_by_role("link", name="Open the page")
    expect(link).to_be_visible()
    assert effects_on(unvisited)[2] == "<PageMount not built>"
    link.click()
    expect(page.locator("#tab-audition[role=tabpanel]")).to_be_visible()


def test_an_address_that_is_typed_opens_the_page(site: Site, visitor: BrowserContext) -> None:
    """By 127.0.0.1 all other tests open it."""
    page = visitor.new_page()
    page.goto(own_url(site, "nas.local"))
    expect(page.locator("#tab-audition[role=tabpanel]")).to_be_visible()
