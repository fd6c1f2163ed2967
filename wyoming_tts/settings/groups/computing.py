"""Settings of the group Computing: caches, models in memory, cores and the GPU."""

from __future__ import annotations

from functools import partial
from typing import Literal

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import CacheServer
from wyoming_tts.settings.values.plain import AnyPath, Number, Phrases, Whole

_setting = partial(setting, Group.COMPUTING)


class ComputingSettings(SettingsGroup):
    """Fields under the heading Computing."""

    cache_memory: Whole = _setting(
        16,
        "Memory of the cache of spoken segments, 20 s of speech per MB; 0 disables it.",
        unit="MB",
        ge=0,
        le=65_536,
    )
    cache_dir: AnyPath | None = _setting(
        None, "Directory that keeps spoken segments across restarts.", shown="none"
    )
    cache_disk: Whole = _setting(512, "Largest size of `cache_dir`.", unit="MB", ge=1, le=1_048_576)
    cache_url: CacheServer | None = _setting(
        None,
        "Redis or Valkey server by which servers share spoken segments; while it fails, all else goes on.",
        shown="none",
        expects="redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], or rediss://... for TLS",
    )
    kept_audio: Whole = _setting(
        50,
        "Space for finished audio that HTTP clients ask to keep for a download (`return_download_link`), for "
        "an hour, in the system's directory for temporary files; 0 keeps none.",
        unit="MB",
        ge=0,
        le=1_048_576,
    )
    prepare: Phrases = _setting(
        (),
        "Phrases rendered into the cache at the start; several flags, a list in the file, or lines "
        "in the environment.",
        shown="none",
        expects="texts",
    )
    use_cuda: bool = _setting(
        False,
        "Compute on an NVIDIA GPU if onnxruntime-gpu is installed, else on the CPU.",
    )
    cuda_device: Whole = _setting(
        0,
        "Number of the GPU for `use_cuda`, as CUDA counts them.",
        ge=0,
        le=255,
    )
    preload: Phrases = _setting(
        (),
        "Voices that are loaded at the start, after the default voice and in this order, so that their first "
        "word comes as soon as any other; at most as many models as `max_loaded_voices`; several flags, a "
        "list in the file, or lines in the environment.",
        shown="none",
        expects="names of voices",
    )
    max_loaded_voices: Whole = _setting(4, "Largest number of models kept in memory.", ge=1, le=64)
    max_model_memory: Whole = _setting(
        0,
        "Largest memory for models, by the size of their files; 0 is no limit.",
        unit="MB",
        ge=0,
        le=1_048_576,
    )
    unload_after: Number = _setting(
        0.0,
        "Unload a model that nobody has spoken with for this long; it is loaded again when it is needed; "
        "0 is never.",
        unit="seconds",
        ge=0.0,
        le=604_800.0,
    )
    compute_threads: Whole = _setting(
        0,
        "Steps computed at the same time, one core each under load; 0 takes all cores.",
        ge=0,
        le=256,
    )
    intra_op_threads: Whole = _setting(
        0, "Threads of a step that has all cores; 0 takes up to 4.", ge=0, le=256
    )
    kokoro_decode: Literal["chunked", "whole"] = _setting(
        "chunked",
        "How Kokoro decodes a sentence: `chunked` in chunks, heard from the first one on, once the voice has "
        "been calibrated in the background; `whole` always as a whole, so it is cut early to be heard early.",
    )
