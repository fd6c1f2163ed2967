"""Requests of web pages: which origins the guard serves, and what it tells of it."""

from __future__ import annotations

import pytest

from tests.http.guarded import KEY, SPEECH, client, code, make_guard


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("http://nas.local:8880", True),
        ("https://nas.local:8880", True),
        ("http://nas.local:3000", False),
        ("https://listed.example.org", True),
        ("https://LISTED.example.org", True),
        ("https://listed.example.org.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
async def test_post_is_allowed_only_from_the_same_or_a_listed_origin(
    origin: str, *, is_allowed: bool
) -> None:
    async with client(make_guard(cors_origins=("https://listed.example.org",))) as http:
        answer = await http.post(SPEECH, headers={"Origin": origin})
    assert answer.status_code == (200 if is_allowed else 403)
    if not is_allowed:
        assert code(answer) == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers


PLAYER = "/synthesize-stream?text=hi&voice=x"


CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"}


VISIT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


BROWSER = {"User-Agent": "Mozilla/5.0 (X11)", "Accept-Language": "en"}


WINDOW = {**BROWSER, "Accept": "text/html"}


@pytest.mark.parametrize("headers", [CROSS_SITE, {**BROWSER, "Referer": "http://evil.example/"}, VISIT])
@pytest.mark.parametrize("path", [PLAYER, "/v1/models", "/config", "/health", "/metrics", "/login"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_no_method_and_no_path_is_served_to_a_page_of_another_origin(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with client(make_guard()) as http:
        answer = await http.request(method, path, headers=headers)
    assert answer.status_code == 403
    if method != "HEAD":
        assert code(answer) == "origin_not_allowed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (VISIT, 200),
        ({**WINDOW, "Referer": "http://evil.example/"}, 200),
        (VISIT | {"Sec-Fetch-Dest": "iframe"}, 403),
        (CROSS_SITE, 403),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
async def test_of_another_origins_requests_only_a_window_that_goes_to_the_page_is_served(
    headers: dict[str, str], status: int
) -> None:
    async with client(make_guard()) as http:
        assert (await http.get("/", headers=headers)).status_code == status
        assert (await http.post("/", headers=headers)).status_code == 403


async def test_a_browser_that_tells_nothing_may_read_but_cause_nothing() -> None:
    async with client(make_guard()) as http:
        reads = [await http.get(path, headers=BROWSER) for path in ("/v1/voices", "/", "/config", "/status")]
        effects = [await http.get(PLAYER, headers=BROWSER), await http.post(SPEECH, headers=BROWSER)]
    assert [answer.status_code for answer in reads] == [200] * 4
    assert [code(answer) for answer in effects] == ["origin_not_allowed"] * 2
    assert "HTTPS" in effects[0].text


@pytest.mark.parametrize("headers", [WINDOW, VISIT | {"Sec-Fetch-Site": "none"}])
async def test_a_window_that_goes_to_speech_gets_a_player_that_its_user_starts(
    headers: dict[str, str],
) -> None:
    async with client(make_guard()) as http:
        answer = await http.get(f"{PLAYER}&speed=%221", headers=headers)
        played = await http.get(PLAYER, headers={**BROWSER, "Referer": f"http://nas.local:8880{PLAYER}"})
    assert "x-app" not in answer.headers
    assert '<audio controls preload="none" src="?text=hi&amp;voice=x&amp;speed=%221">' in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert played.headers["x-app"] == "yes"


@pytest.mark.parametrize("headers", [{}, {"User-Agent": "VLC/3.0"}, {"User-Agent": "Mozilla/4.0 CrKey/1.5"}])
async def test_players_and_programs_are_served_speech(headers: dict[str, str]) -> None:
    async with client(make_guard()) as http:
        assert (await http.get(PLAYER, headers=headers)).headers["x-app"] == "yes"
        assert (await http.post(SPEECH, headers=headers)).headers["x-app"] == "yes"


@pytest.mark.parametrize("headers", [CROSS_SITE, BROWSER, WINDOW])
async def test_a_key_in_the_address_lets_a_pages_audio_in(headers: dict[str, str]) -> None:
    async with client(make_guard(api_keys=(KEY,))) as http:
        served = await http.get(f"{PLAYER}&api_key={KEY}", headers=headers)
        refused = await http.get(f"{PLAYER}&api_key=sk-guess", headers=CROSS_SITE)
        posted = await http.post(f"{SPEECH}?api_key={KEY}", headers=CROSS_SITE)
    assert served.headers["x-app"] == "yes"
    assert "cross-origin-resource-policy" not in served.headers
    assert [code(refused), code(posted)] == ["origin_not_allowed"] * 2


async def test_a_listed_page_may_use_everything_by_origin_or_referer() -> None:
    async with client(make_guard(cors_origins=("https://listed.example.org",))) as http:
        for named in ({"Origin": "https://listed.example.org"}, {"Referer": "https://listed.example.org/a"}):
            answer = await http.get(PLAYER, headers={**CROSS_SITE, **named})
            assert answer.status_code == 200
            assert "cross-origin-resource-policy" not in answer.headers


async def test_other_sites_may_not_embed_what_browsers_are_answered() -> None:
    async with client(make_guard()) as http:
        answers = [await http.get("/v1/models", headers=headers) for headers in (BROWSER, CROSS_SITE)]
        assert [answer.headers["cross-origin-resource-policy"] for answer in answers] == ["same-origin"] * 2
        assert "cross-origin-resource-policy" not in (await http.get("/v1/models")).headers


async def test_an_origins_default_port_equals_no_port() -> None:
    async with client(make_guard(), host="nas.local") as http:
        assert (await http.post(SPEECH, headers={"Origin": "https://nas.local"})).status_code == 200
        assert (await http.post(SPEECH, headers={"Origin": "http://nas.local:80"})).status_code == 200
        assert (await http.post(SPEECH, headers={"Origin": "http://nas.local:81"})).status_code == 403


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-stainless-lang",
    "Access-Control-Request-Private-Network": "true",
}


async def test_a_cors_preflight_from_a_listed_origin_needs_no_key() -> None:
    guard = make_guard(api_keys=(KEY,), cors_origins=("https://page.example.org",))
    async with client(guard) as http:
        answer = await http.options(SPEECH, headers={"Origin": "https://page.example.org", **PREFLIGHT})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example.org"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-stainless-lang"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("origins", [(), ("https://other.example.org",)])
async def test_a_cors_preflight_from_an_unlisted_origin_is_refused(origins: tuple[str, ...]) -> None:
    async with client(make_guard(cors_origins=origins)) as http:
        answer = await http.options(SPEECH, headers={"Origin": "https://page.example.org", **PREFLIGHT})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_responses_and_refusals_carry_cors_headers_for_a_listed_origin() -> None:
    guard = make_guard(api_keys=(KEY,), cors_origins=("https://page.example.org",))
    origin = {"Origin": "https://page.example.org"}
    async with client(guard) as http:
        served = await http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}", **origin})
        refused = await http.get("/v1/models", headers=origin)
        foreign = await http.get("/health", headers={"Origin": "https://evil.example"})
    assert [served.status_code, refused.status_code, foreign.status_code] == [200, 401, 403]
    for answer in (served, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example.org"
        assert answer.headers["Vary"] == "Origin"
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_star_allows_every_origin() -> None:
    async with client(make_guard(cors_origins=("*",)), host="any.example.org") as http:
        answer = await http.post(SPEECH, headers={"Origin": "https://evil.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://evil.example"
