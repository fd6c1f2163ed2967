"""The command `wyoming-tts cache clear`: of a running server, or of its files where none runs.

A running server is asked over HTTP, because it alone knows its memory. The shared cache is cleared from here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wyoming_tts.commands.console import CommandFailed, print_json, print_line

if TYPE_CHECKING:
    import httpx

    from wyoming_tts.settings import LoadedSettings, Settings

_PATH = "/dev/clear_cache"
_CLOSE_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
_SECONDS = 30.0
"""For a server's answer: a disk may be slow, and have a million files."""
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address to listen on, and the one to connect to
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class ClearedTier:
    """What was removed from one tier of the cache."""

    segments: int
    bytes: int | None = None
    """None where nobody knows."""


def add_cache_flags(clear: argparse.ArgumentParser) -> None:
    """Add the flags of `cache clear` besides those of the settings."""
    clear.add_argument(
        "--url", metavar="URL", help="the running server, http(s)://HOST:PORT; default: that of the settings"
    )
    clear.add_argument(
        "--keep-shared", action="store_true", help="leave what other machines share (cache_url) as it is"
    )
    clear.add_argument("--json", action="store_true", help="print JSON")


def run_cache_command(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Clear the cache, and print what was removed.

    Raises:
        CommandFailed: the server refuses, or files or the shared cache cannot be reached.
    """
    settings = loaded.settings
    cleared = _clear_running(settings, arguments.url or None)
    is_running = cleared is not None
    if cleared is None:
        cleared = _clear_files(settings)
    failure: CommandFailed | None = None
    if settings.cache_url and not arguments.keep_shared:
        try:
            cleared["shared"] = ClearedTier(_clear_shared(settings.cache_url))
        except CommandFailed as error:
            failure = error  # the others are cleared by now, which is told first
    _print_cleared(cleared, is_running=is_running, as_json=arguments.json)
    if failure is not None:
        raise failure
    return 0


def _print_cleared(cleared: dict[str, ClearedTier], *, is_running: bool, as_json: bool) -> None:
    if as_json:
        print_json({"running": is_running} | {tier: asdict(each) for tier, each in cleared.items()})
        return
    for tier, each in cleared.items():
        size = "" if each.bytes is None else f", {each.bytes / 1e6:.1f} MB"
        print_line(f"{tier}: removed {each.segments} segments{size}.")
    if not is_running:
        print_line("No server answered; what one that runs without HTTP has in memory is still there.")


def _clear_running(settings: Settings, url: str | None) -> dict[str, ClearedTier] | None:
    """Clear a running server's cache; None if none answers at the address of the settings."""
    import httpx  # noqa: PLC0415 - of this command alone

    target, host = url or _own_address(settings), ""
    if target is None:
        return None
    host = httpx.URL(target).host
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    try:
        # A certificate seldom names the loopback address, which nobody else can answer on.
        timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        with httpx.Client(verify=host not in _LOOPBACK, trust_env=False, timeout=timeout) as client:
            answer = client.post(target.rstrip("/") + _PATH, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        if url is None:
            return None
        raise CommandFailed(f"{url} cannot be reached: {error}.") from error
    except httpx.HTTPError as error:
        raise CommandFailed(f"{target} did not answer: {_why(error)}.") from error
    if answer.status_code != httpx.codes.OK:
        raise CommandFailed(
            f"{target} refused with {answer.status_code}.",
            hint="It may want a key (--api-keys), or be another server (--url).",
        )
    return _parse_removed(answer.text, target)


def _why(error: httpx.HTTPError) -> str:
    if "Timeout" in type(error).__name__:
        return f"it took longer than {_SECONDS:g} s"
    return str(error) or type(error).__name__


def _parse_removed(answer: str, target: str) -> dict[str, ClearedTier]:
    try:
        removed = json.loads(answer)
        tiers = {tier: removed[tier] for tier in ("memory", "disk")}
        return {tier: ClearedTier(int(each["segments"]), int(each["bytes"])) for tier, each in tiers.items()}
    except (ValueError, TypeError, LookupError):
        raise CommandFailed(
            f"{target} gave an answer that is not of this command.", hint="It may be another server (--url)."
        ) from None


def _own_address(settings: Settings) -> str | None:
    if not settings.http or not settings.http_port:
        return None
    host = settings.http_host or "127.0.0.1"
    host = _ANY_ADDRESS.get(host, host)
    scheme = "http" if settings.http_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def _clear_files(settings: Settings) -> dict[str, ClearedTier]:
    from wyoming_tts.cache.files import EntryFiles  # noqa: PLC0415 - imports numpy

    if settings.cache_dir is None:
        return {}
    try:
        return {"disk": ClearedTier(*EntryFiles(settings.cache_dir).clear())}
    except OSError as error:
        raise CommandFailed(f"{settings.cache_dir} cannot be cleared: {error.strerror or error}.") from error


def _clear_shared(url: str) -> int:
    from wyoming_tts.cache.redis_store import RedisStore  # noqa: PLC0415 - takes a tenth of a second
    from wyoming_tts.cache.shared import KEY_PREFIX, StoreFailed  # noqa: PLC0415 - as above

    async def clear() -> int:
        store = RedisStore(url)
        try:
            return await store.remove(KEY_PREFIX)
        finally:
            with suppress(StoreFailed, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await store.aclose()

    try:
        return asyncio.run(clear())
    except StoreFailed as error:
        raise CommandFailed(
            f"The shared cache cannot be cleared: {error}.",
            hint="--keep-shared leaves it as it is.",
        ) from error
