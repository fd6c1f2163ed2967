"""Settings that are read again on SIGHUP: what can change while the server runs does, the rest is told of."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from wyoming_tts.assembly.default_voice import change_default, prepare_phrases
from wyoming_tts.assembly.options import admission_options, http_host
from wyoming_tts.assembly.parts import Parts, configured_default_voice
from wyoming_tts.errors import SpeechError
from wyoming_tts.server.http_side import AccessPolicy
from wyoming_tts.settings import LoadedSettings, Settings, SettingsError
from wyoming_tts.telemetry.log_tail import LogTail
from wyoming_tts.voices.library import DefaultVoice

_LOGGER = logging.getLogger(__name__)

LIVE = frozenset(
    {
        "allow_networks",
        "api_keys",
        "cors_origins",
        "max_body_kb",
        "max_queue",
        "max_streams",
        "max_wait",
        "requests_per_minute",
        "speaker",
        "voice",
    }
)
"""Names of the settings that change without a restart; the lexicon, which is a file, is read again too."""

Reread = Callable[[], LoadedSettings]


@dataclass(slots=True)
class CurrentSettings:
    """The settings that hold now, and how they came to be."""

    loaded: LoadedSettings
    log: LogTail
    """It hides their keys."""

    def change(self, loaded: LoadedSettings) -> None:
        """Go by others."""
        self.log.hide(loaded.settings.secrets)
        self.loaded = loaded


async def reload_on_sighup(
    parts: Parts, doorkeeper: AccessPolicy, in_force: CurrentSettings, reread: Reread
) -> None:
    """Read the settings again at each SIGHUP; runs until it is cancelled.

    Args:
        parts: What is told of them.
        doorkeeper: The same.
        in_force: The same.
        reread: Reads them; blocks. Raises `SettingsError`, and the settings before stay.
    """
    hung_up = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    try:
        while True:
            await hung_up.wait()
            hung_up.clear()
            await _reload(parts, doorkeeper, in_force, reread)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _reload(parts: Parts, doorkeeper: AccessPolicy, in_force: CurrentSettings, reread: Reread) -> None:
    before = in_force.loaded.settings
    try:
        loaded = await parts.workers.run_blocking(reread)
        settings = loaded.settings
        doorkeeper.replace(settings)
    except (SettingsError, ValueError) as error:
        _LOGGER.error("The settings cannot be used, those before stay. %s", error)  # noqa: TRY400
        return
    in_force.change(loaded)
    changed = {name for name in Settings.model_fields if getattr(settings, name) != getattr(before, name)}
    parts.admission.set_options(admission_options(settings))
    await parts.workers.run_blocking(parts.lexicon.refresh)
    await _change_default(parts, await parts.workers.run_blocking(lambda: configured_default_voice(settings)))
    _LOGGER.info("The settings were read again: %s.", _listed(changed & LIVE) or "none has changed")
    if late := _listed(changed - LIVE):
        _LOGGER.warning("These settings change with the next start: %s.", late)
    if settings.http and (was := http_host(before)) != (wanted := http_host(settings)):
        _LOGGER.warning(
            "HTTP goes on listening where it did when it was opened: before these settings that was %s, "
            "with them it would be %s. Restart the server.",
            was,
            wanted,
        )


async def _change_default(parts: Parts, default: DefaultVoice) -> None:
    before = parts.library.default
    if default == before:
        return
    try:
        await change_default(parts, default)
    except SpeechError as error:
        _LOGGER.error("The default voice stays %s. %s", before, error)  # noqa: TRY400 - it says it all
    except Exception:  # a voice that breaks in an unforeseen way must not take the server with it
        _LOGGER.exception("The default voice stays %s.", before)
    else:
        await prepare_phrases(parts)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
