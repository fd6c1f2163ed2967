"""Sync with a bucket, made from the settings: what checks the files that it brings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.model_files import check_complete
from wyoming_tts.engines.piper.voice_json import read_voice_json
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.text.lexicon.parser import parse_lexicon
from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS_FILE
from wyoming_tts.voices.blends.yaml_format import parse_blends
from wyoming_tts.voices.bucket.layout import LEXICON_FILE
from wyoming_tts.voices.bucket.object_store import INSTALL_HINT, ObjectStore, is_installed
from wyoming_tts.voices.bucket.sync import BucketSync, SyncOptions
from wyoming_tts.voices.verification import CheckForm


def make_bucket_sync(
    settings: Settings, run_blocking: RunBlocking, options: SyncOptions | None = None
) -> BucketSync | None:
    """Make the sync of the first data directory; None if there is no bucket.

    Args:
        settings: Those of the bucket are used.
        run_blocking: Reads and writes files.
        options: What it may do; by default, as the settings say.

    Raises:
        SettingsError: the package for it is not installed.
    """
    url = settings.voices_url
    if url is None:
        return None
    if not is_installed():
        raise SettingsError(f"voices_url needs the package obstore: {INSTALL_HINT}")
    return BucketSync(
        ObjectStore(url, run_blocking),
        settings.data_dir[0],
        _CHECKS,
        run_blocking,
        options or SyncOptions(may_push=settings.voices_push),
    )


_CHECKS: Final[Mapping[str, CheckForm]] = MappingProxyType(
    {
        ".onnx": check_complete,
        ".json": read_voice_json,
        BLENDS_FILE: lambda path: parse_blends(path.read_bytes(), path.name),
        LEXICON_FILE: lambda path: parse_lexicon(path.read_bytes(), path.name),
    }
)
