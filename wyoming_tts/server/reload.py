"""Settings reload on SIGHUP: applies what can change at run time and logs what needs a restart."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from wyoming_tts.assembly.chosen_default import settings_name_a_voice
from wyoming_tts.assembly.default_voice import change_default, prepare_phrases
from wyoming_tts.assembly.options import admission_options, http_host
from wyoming_tts.assembly.parts import Parts, configured_default_voice
from wyoming_tts.errors import SpeechError
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.settings import LoadedSettings, Settings, SettingsError
from wyoming_tts.telemetry.log_tail import LogTail
from wyoming_tts.voices.library import DefaultVoice

_LOGGER = logging.getLogger(__name__)

RELOADABLE = frozenset(
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
        "token_keys",
        "token_lifetime",
        "voice",
    }
)
"""Settings that change without a restart; the lexicon file is also read again."""

Reread = Callable[[], LoadedSettings]
"""Reads the settings again. Blocks; raises SettingsError."""


@dataclass(slots=True)
class CurrentSettings:
    """The settings in force and their sources."""

    loaded: LoadedSettings
    log: LogTail
    """Masks their keys."""

    def change(self, loaded: LoadedSettings) -> None:
        """Replace the settings in force."""
        self.log.hide(loaded.settings.secrets)
        self.loaded = loaded


async def reload_on_sighup(
    parts: Parts, access: AccessPolicy, current: CurrentSettings, reread: Reread
) -> None:
    """Reload the settings at each SIGHUP; runs until cancelled.

    Args:
        parts: Admission, lexicon and default voice are changed.
        access: Its rules are changed.
        current: Replaced by the new settings; stays as it is if these are invalid.
        reread: Reads the settings.
    """
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, signalled.set)
    try:
        while True:
            await signalled.wait()
            signalled.clear()
            await _reload(parts, access, current, reread)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _reload(parts: Parts, access: AccessPolicy, current: CurrentSettings, reread: Reread) -> None:
    before = current.loaded.settings
    try:
        loaded = await parts.workers.run_blocking(reread)
        settings = loaded.settings
        access.replace(settings)
    except (SettingsError, ValueError) as error:
        _LOGGER.error("The new settings are invalid, the old ones stay in force. %s", error)  # noqa: TRY400
        return
    current.change(loaded)
    changed = {name for name in Settings.model_fields if getattr(settings, name) != getattr(before, name)}
    parts.admission.set_options(admission_options(settings))
    await parts.workers.run_blocking(parts.lexicon.refresh)
    default = await parts.workers.run_blocking(lambda: configured_default_voice(settings))
    await _apply_default(parts, default, is_named=settings_name_a_voice(settings))
    _LOGGER.info("Settings reloaded: %s.", _joined(changed & RELOADABLE) or "nothing has changed")
    if needing_restart := _joined(changed - RELOADABLE):
        _LOGGER.warning("These settings take effect after a restart: %s.", needing_restart)
    if settings.http and (old := http_host(before)) != (new := http_host(settings)):
        _LOGGER.warning(
            "The HTTP address changes only with a restart: it was %s by the old settings and would be %s by "
            "the new ones.",
            old,
            new,
        )


async def _apply_default(parts: Parts, default: DefaultVoice, *, is_named: bool) -> None:
    """Use the default voice of the settings; one that a user has chosen stays if they name none."""
    before = parts.library.default
    if default == (before if is_named else parts.library.configured_default):
        return
    try:
        await change_default(parts, default)
    except SpeechError as error:
        _LOGGER.error("The default voice stays %s. %s", before, error)  # noqa: TRY400 - the message is complete
    except Exception:  # an unforeseen failure of a voice must not end the server
        _LOGGER.exception("The default voice stays %s.", before)
    else:
        await prepare_phrases(parts)


def _joined(names: set[str]) -> str:
    return ", ".join(sorted(names))
