"""Settings of the group Limits: sizes, numbers and times at which the server refuses or stops."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.plain import Number, Whole

_setting = partial(setting, Group.LIMITS)


class LimitsSettings(SettingsGroup):
    """Fields under the heading Limits."""

    max_segment_chars: Whole = _setting(
        500, "Longest piece of text rendered at once.", unit="characters", ge=50, le=5000
    )
    max_text_chars: Whole = _setting(
        100_000, "Longest text of one request.", unit="characters", ge=100, le=10_000_000
    )
    max_utterance_words: Whole = _setting(
        0,
        "Most words in the text of one request, as spaces separate them, beside `max_text_chars`; 0 is no "
        "limit. Of a text that is still being written, all up to the limit is spoken.",
        ge=0,
        le=1_000_000,
    )
    max_streams: Whole = _setting(
        0,
        "Utterances spoken at the same time; 0 takes 8 for each core, at least 16. Those that wait for text "
        "or are not listened to do not count.",
        ge=0,
        le=1000,
    )
    max_queue: Whole | None = _setting(
        None,
        "New utterances that wait for one of those to end; further ones are refused as busy.",
        shown="twice max_streams",
        ge=0,
        le=10_000,
    )
    max_wait: Number = _setting(
        10.0,
        "Longest wait for other utterances: one that is expected to wait longer is refused as busy at once, "
        "and one that has waited so long for its turn is refused then. While nothing is spoken, none is "
        "refused.",
        unit="seconds",
        ge=0.1,
        le=600.0,
    )
    busy_status: Annotated[Literal["429", "503"], BeforeValidator(str)] = _setting(
        "429",
        "Status of HTTP's answer to one that is refused as busy: 429 as in OpenAI's API, or 503, after which "
        "load balancers can ask another server (HAProxy: `retry-on 503`).",
    )
    max_connections: Whole = _setting(
        512,
        "Limit of open connections to each port; at the limit the connection idle for longest makes room for "
        "a new one, and without an idle one the new one is refused.",
        ge=1,
        le=10_000,
    )
    max_connections_per_peer: Whole = _setting(
        128,
        "The same for the connections from one address; behind a proxy all clients have its address.",
        ge=1,
        le=10_000,
    )
    idle_timeout: Number = _setting(
        300.0,
        "Close a connection that has been silent this long.",
        unit="seconds",
        ge=1.0,
        le=86_400.0,
    )
    send_timeout: Number = _setting(
        60.0,
        "Disconnect a client that reads no audio for this long.",
        unit="seconds",
        ge=1.0,
        le=3600.0,
    )
    step_timeout: Number = _setting(
        60.0,
        "How long one step of computing, such as a chunk of audio, may take; then it is stopped, and its "
        "voice not used for ten minutes. Time in which other work has the cores does not count, up to ten "
        "times as long in all. Raise it if an ordinary sentence takes that long.",
        unit="seconds",
        ge=1.0,
        le=3600.0,
    )
    shutdown_grace: Number = _setting(
        10.0,
        "How long running streams may continue after a signal to stop; a second signal ends the server "
        "at once.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )
