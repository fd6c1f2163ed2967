"""The settings model: each setting once, with its type, default, range and help text.

Nothing here reads flags, variables or files. Everything that shows or reads settings is derived from this
model, so no part can know a setting that another one lacks.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from platformdirs import user_data_path, user_state_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.json_template import InvalidTemplate, JsonTemplate, placeholders_of, write_template

PREFIX = "WYOMING_TTS_"
"""Prefix of every setting's environment variable."""

JOURNAL_NAME = "metrics.jsonl"

SECRETS = frozenset({"api_keys", "remote_key", "token_keys"})
"""Settings whose values are never shown."""
MIN_SECRET_BYTES = 32
"""Of a secret that signs tokens: as many as the digest has (RFC 7518, 3.2)."""
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CACHE_CERTIFICATES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""Files that `cache_url` may name after `?`."""


class Group(StrEnum):
    """Headings under which settings are shown."""

    LISTENING = "Listening"
    ACCESS = "Access"
    VOICES = "Voices"
    SPEECH = "Speech"
    TEXT = "Text"
    DOWNLOADS = "Downloads"
    LIMITS = "Limits"
    COMPUTING = "Computing"
    REMOTE = "Remote servers"
    LOGGING = "Logging"


def _in_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # there is no home directory
        raise ValueError(str(error)) from error


def _state_directory() -> Path:
    """Systemd's directory for the state of the service (the first of several), else the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else user_state_path("wyoming-tts", appauthor=False)


def _listening_uri(uri: str) -> str:
    parts = urlsplit(uri)
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port is not None and not parts.path.strip("/")
    unix = parts.scheme == "unix" and not parts.netloc and parts.path.strip("/")
    if not (tcp or unix or uri == "stdio://"):
        raise ValueError(uri)
    return uri


def _uri_of_host_and_port(values: Mapping[str, Any]) -> str:
    host = f"[{values['host']}]" if ":" in values["host"] else values["host"]
    return f"tcp://{host}:{values['port']}"


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError(url)
    return url.rstrip("/")


def _upstreams(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "tcp"} or not parts.hostname:
            raise ValueError(url)
    return tuple(url.rstrip("/") for url in urls)


class InvalidTokenKey(ValueError):
    """A key that signs tokens is unusable; the message says which, without its secret."""


def _key_entries(value: object) -> object:
    """Return a mapping of YAML as entries `ID=SECRET`."""
    return [f"{key_id}={secret}" for key_id, secret in value.items()] if isinstance(value, dict) else value


def _token_keys(entries: tuple[str, ...]) -> tuple[str, ...]:
    ids = set[str]()
    for number, entry in enumerate(entries, 1):
        key_id, sign, secret = entry.partition("=")
        if not sign or not _KEY_ID.fullmatch(key_id):
            raise InvalidTokenKey(f"number {number} does not begin with an id, such as web=")
        if key_id in ids:
            raise InvalidTokenKey(f"the id {key_id} is given twice")
        if (length := len(secret.encode())) < MIN_SECRET_BYTES:
            raise InvalidTokenKey(
                f"the secret of {key_id} has {length} bytes, at least {MIN_SECRET_BYTES} are needed; "
                "`openssl rand -hex 32` makes one"
            )
        ids.add(key_id)
    return entries


def _cache_server(url: str) -> str:
    parts = urlsplit(url)
    is_number = parts.path.strip("/").isdecimal() or not parts.path.strip("/")
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not is_number or parts.fragment:
        raise ValueError(url)
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if parts.port == 0 or not options.keys() <= CACHE_CERTIFICATES or (options and parts.scheme == "redis"):
        raise ValueError(url)
    return url


def _bucket_url(url: str) -> str:
    parts = urlsplit(url)
    is_directory = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    is_bucket = parts.scheme in {"s3", "gs"} and bool(parts.hostname)
    if not (is_directory or is_bucket) or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(_without_credentials(url))
    return url.rstrip("/")


def _without_credentials(url: str) -> str:
    return url.rpartition("@")[2]


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        parts = urlsplit(f"tcp://{host}")
        if not parts.hostname or parts.netloc != host or "@" in host or parts.port == 0:
            raise ValueError(host)
    return hosts


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ip_network(network, strict=False)  # a ValueError says what is wrong
    return networks


def _address(text: str) -> str:
    return str(ip_address(text))  # a ValueError says what is wrong


def _instance_name(name: str) -> str:
    if not name.isprintable() or len(name.encode()) > 63:  # noqa: PLR2004 - the length of a DNS label
        raise ValueError(name)
    return name


def _punctuation(characters: str) -> str:
    """Return the characters without spaces; `none` means no characters in a file or a variable."""
    return "" if characters == "none" else "".join(characters.split())


def _log_format(text: str) -> str:
    try:
        logging.Formatter(text).format(logging.makeLogRecord({"msg": "a record to try it with"}))
    except TypeError as error:  # pydantic takes only a ValueError for an invalid value
        raise ValueError(str(error)) from error
    return text


def _not_a_switch(value: object) -> object:
    """Refuse a boolean: pydantic would read YAML's `yes` as the number 1."""
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 - the same
    return value


AnyPath = Annotated[Path, AfterValidator(_in_home)]
Paths = Annotated[
    tuple[AnyPath, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
Phrases = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
Whole = Annotated[int, BeforeValidator(_not_a_switch)]
Number = Annotated[float, BeforeValidator(_not_a_switch)]
Name = Annotated[str, Field(min_length=1)]
Address = Annotated[str, AfterValidator(_address)]

_CUT_MARKS = ",.;:?!—…，、。．；：？！､｡،؛؟۔"
"""Where a clause ends, in Latin, East Asian and Arabic writing."""


def _setting(
    group: Group,
    default: object,
    text: str,
    *,
    unit: str = "",
    shown: str = "",
    expects: str = "",
    **limits: Any,
) -> Any:
    """Make a field of `Settings`.

    `shown` describes a computed default; `expects` describes the allowed values where type and limits do not.
    """
    extra: dict[str, Any] = {"group": group, "unit": unit, "shown": shown, "expects": expects}
    defaults = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**defaults, description=text, json_schema_extra=extra, **limits)


SPEECH_PLACEHOLDERS: Final = ("text", "voice", "speaker", "language", "locale", "speed", "rate", "model")
"""What a request for speech may say, in `remote_path` and `remote_body`."""


def _speech_body(value: object) -> object:
    """Return the JSON of a template; a mapping of YAML is one too."""
    if value is not None and not isinstance(value, str):
        value = write_template(value)
    if isinstance(value, str) and value.strip():
        _check_placeholders(found := JsonTemplate(value).placeholders)
        if "text" not in found:
            raise InvalidTemplate("{text} is nowhere in it, so that every request would be the same")
    return value


def _check_placeholders(found: frozenset[str]) -> None:
    if unknown := sorted(found.difference(SPEECH_PLACEHOLDERS)):
        known = ", ".join(f"{{{name}}}" for name in SPEECH_PLACEHOLDERS)
        raise InvalidTemplate(f"{{{unknown[0]}}} is no placeholder; there are {known}")


def _speech_path(path: str) -> str:
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/"):
        raise InvalidTemplate(f"it has to begin with one slash, such as {SPEECH_PATH}")
    if not path.isprintable() or " " in path or parts.fragment:
        raise InvalidTemplate("it has characters that a path cannot have")
    _check_placeholders(placeholders_of(path))
    return path


class Settings(BaseModel):
    """All settings, from keywords only; `load_settings` reads flags, environment and file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        str_strip_whitespace=True,
    )

    host: str = _setting(
        Group.LISTENING,
        "0.0.0.0",  # noqa: S104 - satellites are other machines
        "Address to listen on.",
        expects="an address or a host name",
        pattern=r"^[^\s/\[\]]+$",
    )
    port: Whole = _setting(
        Group.LISTENING, 10200, "TCP port to listen on; 0 lets the system choose one.", ge=0, le=65535
    )
    uri: Annotated[str, AfterValidator(_listening_uri)] = _setting(
        Group.LISTENING,
        _uri_of_host_and_port,
        "Address to listen on, in place of host and port.",
        shown="tcp://HOST:PORT",
        expects="tcp://HOST:PORT, unix:///PATH or stdio://",
    )
    agent_port: Whole | None = _setting(
        Group.LISTENING,
        None,
        "TCP port that tells HAProxy (agent-check) how much to send here, and to send nobody new to a "
        "server that is stopping; 0 lets the system choose one.",
        shown="none",
        ge=0,
        le=65535,
    )
    zeroconf: bool = _setting(
        Group.LISTENING,
        True,
        "Announce the server on the local network, under the given instance name if there is one; "
        "only a tcp:// server can be announced.",
        expects="true, false or an instance name",
    )
    zeroconf_name: Annotated[str, AfterValidator(_instance_name)] | None = _setting(
        Group.LISTENING,
        None,
        "Instance name of the announcement; must be unique on the network.",
        shown="made from the machine's name",
        expects="a printable name of 1 to 63 bytes",
        min_length=1,
    )
    http: bool = _setting(Group.LISTENING, True, "Serve the HTTP API and the realtime WebSocket.")
    http_host: str | None = _setting(
        Group.LISTENING,
        None,
        "Address the HTTP API listens on.",
        shown="0.0.0.0 with a key, an allow list or no page; else 127.0.0.1",
        expects="an address or a host name",
        pattern=r"^[^\s/\[\]]+$",
    )
    http_port: Whole = _setting(
        Group.LISTENING, 8880, "TCP port of the HTTP API; 0 lets the system choose one.", ge=0, le=65535
    )
    http_certificate: AnyPath | None = _setting(
        Group.LISTENING, None, "Certificate chain (PEM) with which the HTTP API speaks TLS.", shown="no TLS"
    )
    http_key: AnyPath | None = _setting(
        Group.LISTENING, None, "Private key (PEM) of the certificate.", shown="in the certificate's file"
    )
    stream_prime_bytes: Whole = _setting(
        Group.LISTENING,
        0,
        "Zero bytes of PCM (silence) sent before the first audio, over HTTP and the realtime WebSocket, for "
        "proxies that hold back what is small.",
        unit="bytes",
        ge=0,
        le=1_048_576,
    )
    mp3_bitrate: Whole = _setting(
        Group.LISTENING, 96, "Bit rate of MP3 over HTTP.", unit="kbit/s", ge=32, le=320
    )
    opus_bitrate: Whole = _setting(
        Group.LISTENING, 48, "Bit rate of Opus over HTTP and the WebSocket.", unit="kbit/s", ge=8, le=256
    )
    opus_complexity: Whole = _setting(
        Group.LISTENING,
        5,
        "CPU time that Opus may cost: 5 takes 3 ms a second of audio, 10 takes 14. Needs libopus on the "
        "system.",
        ge=0,
        le=10,
    )
    opus_application: Literal["audio", "voip"] = _setting(
        Group.LISTENING,
        "audio",
        "What Opus encodes for: `audio` is near to the original, `voip` favours what makes speech "
        "intelligible, at more than twice the CPU time. Needs libopus on the system.",
    )
    realtime_flush_idle_ms: Whole = _setting(
        Group.LISTENING,
        160,
        "Over the realtime WebSocket, speak the text received so far when no more has arrived for this long.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    slow_send_log_ms: Whole = _setting(
        Group.LISTENING,
        2000,
        "Log, at most once a minute, that a message to a client of the WebSocket took longer to send than "
        "this; 0 never does.",
        unit="milliseconds",
        ge=0,
        le=3_600_000,
    )
    ui: bool = _setting(Group.LISTENING, True, "Serve the web page, on the port of the HTTP API.")
    ui_start: Literal["first_visit", "ready"] = _setting(
        Group.LISTENING,
        "first_visit",
        "When the page is built, which takes a few seconds and 75 MB: on the `first_visit`, or once the "
        "server is `ready`.",
    )

    api_keys: Phrases = _setting(
        Group.ACCESS,
        (),
        "Keys of which the HTTP API requires one, as `Authorization: Bearer KEY`; several flags, a list in "
        "the file, or lines in the environment.",
        shown="none is required",
        expects="texts",
    )
    allow_networks: Annotated[Phrases, AfterValidator(_networks)] = _setting(
        Group.ACCESS,
        (),
        "Networks that may connect, such as `192.168.1.0/24`; this machine always may.",
        shown="all",
        expects="networks in CIDR form",
    )
    cors_origins: Phrases = _setting(
        Group.ACCESS,
        (),
        "Origins of web pages that may use the HTTP API from a browser.",
        shown="none",
        expects="origins such as https://example.org, or *",
    )
    token_keys: Annotated[Phrases, BeforeValidator(_key_entries), AfterValidator(_token_keys)] = _setting(
        Group.ACCESS,
        (),
        "Secrets with which other sites' backends sign short-lived tokens for browsers, each behind its id; "
        "several flags, a list in the file, or lines in the environment.",
        shown="none, no token is taken",
        expects=f"ID=SECRET, the secret of at least {MIN_SECRET_BYTES} bytes",
    )
    token_lifetime: Whole = _setting(
        Group.ACCESS,
        3600,
        "Longest time for which such a token may be valid.",
        unit="seconds",
        ge=10,
        le=604_800,
    )
    stream_test_targets: Annotated[Phrases, AfterValidator(_hosts)] = _setting(
        Group.ACCESS,
        (),
        "Servers that the page's stream test may reach, besides this one and those found on the network.",
        shown="none",
        expects="HOST or HOST:PORT",
    )
    ingress_peer: Address | None = _setting(
        Group.ACCESS,
        None,
        "Address of Home Assistant's ingress proxy, whose users may use the page without a key.",
        shown="none",
        expects="an IP address",
    )
    requests_per_minute: Whole = _setting(
        Group.ACCESS,
        0,
        "Limit of speech requests over HTTP, and of responses over the WebSocket, from one address per "
        "minute; 0 is no limit.",
        ge=0,
        le=100_000,
    )
    max_body_kb: Whole = _setting(
        Group.ACCESS, 1024, "Largest body of an HTTP request.", unit="kB", ge=16, le=1_048_576
    )
    allow_unload: bool = _setting(
        Group.ACCESS,
        False,
        "Let clients unload all models with `POST /dev/unload`, to free memory for other programs.",
    )

    voice: Name = _setting(
        Group.VOICES,
        "en_US-lessac-medium",
        "Voice for requests that name none.",
        expects="the name of a voice",
    )
    speaker: Name | None = _setting(
        Group.VOICES,
        None,
        "Speaker of the default voice, by name or number.",
        shown="the voice's first",
        expects="the name or number of a speaker",
    )
    engine: str = _setting(
        Group.VOICES,
        "auto",
        "Engine to use: piper, kokoro, espeak or a plugin; auto chooses by the voice.",
        expects="auto, or the name of an engine: small letters, digits, '-' and '_'",
        pattern=r"^[a-z][a-z0-9_-]*$",
    )
    data_dir: Paths = _setting(
        Group.VOICES,
        lambda: [user_data_path("wyoming-tts", appauthor=False)],
        f"Directories searched for voices, the first match wins; several flags, a list in the file, "
        f"or separated by '{os.pathsep}' in the environment.",
        shown="the user's data directory, ~/.local/share/wyoming-tts on Linux",
        expects="one or more paths",
        min_length=1,
    )
    download_dir: AnyPath = _setting(
        Group.VOICES,
        lambda values: values["data_dir"][0],
        "Directory that downloaded voices are stored in.",
        shown="the first data directory",
    )
    kokoro_model: AnyPath | None = _setting(
        Group.VOICES, None, "Kokoro's model file (.onnx).", shown="searched for in the data directories"
    )
    kokoro_voices: AnyPath | None = _setting(
        Group.VOICES, None, "Kokoro's voice pack (.bin).", shown="searched for in the data directories"
    )

    voices_url: Annotated[str, AfterValidator(_bucket_url)] | None = _setting(
        Group.VOICES,
        None,
        "Bucket that voices, imported styles, blends and the lexicon are brought from, into the first data "
        "directory, also with `offline`; credentials come from the environment or the machine's role.",
        shown="none",
        expects="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///DIRECTORY, without a user or a key",
    )
    voices_sync_interval: Number = _setting(
        Group.VOICES,
        300.0,
        "Time between two looks into the bucket; 0 looks at the start alone.",
        unit="seconds",
        ge=0.0,
        le=604_800.0,
    )
    voices_push: bool = _setting(
        Group.VOICES,
        False,
        "Write blends and the lexicon into the bucket when they are changed here; the newest version wins, "
        "and the bucket keeps the others.",
    )
    voice_map: Phrases = _setting(
        Group.VOICES,
        (),
        "Your own names for voices, such as `butler=en_GB-alan-low`, or `butler=en_GB-alan-low@0.9` with a "
        "pace of its own; several flags, a list in the file, or lines in the environment.",
        shown="OpenAI's names, for similar Kokoro voices",
        expects="texts of the form NAME=VOICE or NAME=VOICE@RATE",
    )
    advertise: Literal["installed", "all"] = _setting(
        Group.VOICES,
        "installed",
        "Voices listed to clients: `installed`, or `all`, with those that can be downloaded marked as such.",
    )

    speed: Number = _setting(
        Group.SPEECH, 1.0, "Speed: 2 takes half the time.", unit="times the voice's own", ge=0.25, le=4.0
    )
    length_scale: Number | None = _setting(
        Group.SPEECH,
        None,
        "Length of Piper's phonemes, divided by `speed`.",
        shown="the voice's own",
        ge=0.25,
        le=4.0,
    )
    noise_scale: Number | None = _setting(
        Group.SPEECH, None, "Variation of Piper's sound.", shown="the voice's own", ge=0.0, le=2.0
    )
    noise_w_scale: Number | None = _setting(
        Group.SPEECH,
        None,
        "Variation of the length of Piper's phonemes.",
        shown="the voice's own",
        ge=0.0,
        le=2.0,
    )
    volume: Number = _setting(
        Group.SPEECH,
        1.0,
        "Gain on top of loudness normalization; peaks are limited.",
        unit="times",
        ge=0.0,
        le=4.0,
    )
    loudness: Number = _setting(
        Group.SPEECH, -20.0, "Loudness that all voices are normalized to.", unit="LUFS", ge=-40.0, le=-10.0
    )
    sentence_silence: Number = _setting(
        Group.SPEECH, 0.0, "Silence added between two sentences.", unit="seconds", ge=0.0, le=10.0
    )
    line_silence: Number = _setting(
        Group.SPEECH,
        0.0,
        "Silence added after a line that ends without a mark and does not go on in the next one, if longer "
        "than `sentence_silence`.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    paragraph_silence: Number = _setting(
        Group.SPEECH,
        0.3,
        "Silence added between two paragraphs, if longer than `sentence_silence`.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    leading_silence: Number = _setting(
        Group.SPEECH,
        0.0,
        "Silence added before the first word, for speakers that swallow the beginning.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    trailing_silence: Number = _setting(
        Group.SPEECH,
        0.0,
        "Silence added after the last word, for players that cut it off.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    auto_punctuation: Annotated[str, AfterValidator(_punctuation)] = _setting(
        Group.SPEECH,
        ".?!。？！．؟",
        "A text that ends in none of these characters gets the first one appended; `none` disables this.",
        expects="punctuation characters, or none",
        pattern=r"^(\W*|none)$",
    )
    first_segment_boundaries: Annotated[str, AfterValidator(_punctuation)] = _setting(
        Group.SPEECH,
        _CUT_MARKS,
        "Where a long first sentence may be cut for earlier first audio; `none` cuts nowhere.",
        expects="punctuation characters, or none",
        pattern=r"^([^\w\s]*|none)$",
    )
    first_segment_min_words: Whole = _setting(
        Group.SPEECH, 3, "Least words of a cut first sentence.", unit="words", ge=1, le=100
    )
    first_segment_max_words: Whole | None = _setting(
        Group.SPEECH,
        None,
        "Words after which a first sentence without a boundary is cut anyway; 0 never does.",
        unit="words",
        shown="the engine's: 8 for Kokoro, 0 for Piper",
        ge=0,
        le=100,
    )
    flush_idle_ms: Whole = _setting(
        Group.SPEECH,
        0,
        "Speak the text received so far when no more has arrived for this long; 0 waits for the end of the "
        "sentence.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    start: Literal["steady", "at_once"] = _setting(
        Group.SPEECH,
        "steady",
        "Where this machine computes slower than it speaks: `steady` holds the first audio back until the "
        "rest will arrive in time, so that there is no gap; `at_once` sends it as soon as it is made.",
    )
    max_hold: Number = _setting(
        Group.SPEECH,
        10.0,
        "Longest time for which `start: steady` holds audio back; then it is sent all the same.",
        unit="seconds",
        ge=0.0,
        le=120.0,
    )
    patience: Number = _setting(
        Group.SPEECH,
        0.0,
        "Time within which a listener has to hear something, for voice agents: the embedded voice speaks an "
        "utterance whose voice is still being loaded or downloaded by then, and over HTTP and the WebSocket "
        "silence is sent until there is speech. 0 waits as long as it takes. A request may say otherwise.",
        unit="seconds",
        ge=0.0,
        le=60.0,
    )
    streaming: bool = _setting(
        Group.SPEECH, True, "Let clients send text in pieces and hear it while it is still arriving."
    )
    samples_per_chunk: Whole = _setting(
        Group.SPEECH, 1024, "Largest number of samples in one audio event.", unit="samples", ge=64, le=65536
    )
    wyoming_words: bool = _setting(
        Group.SPEECH,
        True,
        "Tell Wyoming clients beside the audio when which word sounds, in a field of `audio-chunk` that "
        "others ignore.",
    )

    markdown: bool = _setting(Group.TEXT, True, "Interpret Markdown; off reads asterisks and hashes aloud.")
    code_blocks: Literal["skip", "announce", "read"] = _setting(
        Group.TEXT,
        "skip",
        "Fenced code: `skip` leaves it out, `announce` says `code_block_notice`, `read` reads it.",
    )
    code_block_notice: str = _setting(
        Group.TEXT, "Code is left out.", "Text spoken in place of a code block that is announced."
    )
    emoji: Literal["drop", "name"] = _setting(
        Group.TEXT, "drop", "Emoji: `drop` leaves them out, `name` speaks their names."
    )
    spoken_forms: bool = _setting(
        Group.TEXT,
        True,
        "Say units, times, dates, amounts, addresses and the like in words, in every language of the "
        "catalogues.",
    )
    scripts: Literal["switch", "skip", "spell"] = _setting(
        Group.TEXT,
        "switch",
        "Words in a script that the voice's language is not written in, such as `Привет` in an English text: "
        "`switch` to a voice of their language, the embedded one if no other is installed, `skip` them, or "
        "`spell` their letters.",
    )
    voice_tags: bool = _setting(
        Group.TEXT,
        False,
        "Interpret `[voice:NAME]`, `[lang:CODE]`, `[rate:0.8]` and `[pause:1s]` in plain text as tags. "
        "Over HTTP `[pause:1s]` is one in any case.",
    )

    update_voices: bool = _setting(
        Group.DOWNLOADS, False, "Download the current list of Piper voices at the start."
    )
    on_missing_voice: Literal["wait", "fallback", "error"] = _setting(
        Group.DOWNLOADS,
        "wait",
        "A request for a voice that is being downloaded: `wait` up to `download_wait` before the embedded "
        "voice speaks instead, `fallback` to it at once, or refuse with an `error`.",
    )
    download_wait: Number = _setting(
        Group.DOWNLOADS,
        20.0,
        "How long a request waits for a voice that is being downloaded, before the embedded one speaks.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )
    offline: bool = _setting(Group.DOWNLOADS, False, "Download nothing; use only installed voices.")
    hub_endpoint: Annotated[str, AfterValidator(_web_address)] = _setting(
        Group.DOWNLOADS,
        "https://huggingface.co",
        "Where voices are downloaded from: the Hugging Face hub or a mirror of it.",
        expects="an http:// or https:// address",
    )

    max_segment_chars: Whole = _setting(
        Group.LIMITS, 500, "Longest piece of text rendered at once.", unit="characters", ge=50, le=5000
    )
    max_text_chars: Whole = _setting(
        Group.LIMITS, 100_000, "Longest text of one request.", unit="characters", ge=100, le=10_000_000
    )
    max_utterance_words: Whole = _setting(
        Group.LIMITS,
        0,
        "Most words in the text of one request, as spaces separate them, beside `max_text_chars`; 0 is no "
        "limit. Of a text that is still being written, all up to the limit is spoken.",
        ge=0,
        le=1_000_000,
    )
    max_streams: Whole = _setting(
        Group.LIMITS,
        0,
        "Utterances spoken at the same time; 0 takes 8 for each core, at least 16. Those that wait for text "
        "or are not listened to do not count.",
        ge=0,
        le=1000,
    )
    max_queue: Whole | None = _setting(
        Group.LIMITS,
        None,
        "New utterances that wait for one of those to end; further ones are refused as busy.",
        shown="twice max_streams",
        ge=0,
        le=10_000,
    )
    max_wait: Number = _setting(
        Group.LIMITS,
        10.0,
        "Longest wait for other utterances: one that is expected to wait longer is refused as busy at once, "
        "and one that has waited so long for its turn is refused then. While nothing is spoken, none is "
        "refused.",
        unit="seconds",
        ge=0.1,
        le=600.0,
    )
    busy_status: Annotated[Literal["429", "503"], BeforeValidator(str)] = _setting(
        Group.LIMITS,
        "429",
        "Status of HTTP's answer to one that is refused as busy: 429 as in OpenAI's API, or 503, after which "
        "load balancers can ask another server (HAProxy: `retry-on 503`).",
    )
    max_connections: Whole = _setting(
        Group.LIMITS,
        512,
        "Limit of open connections to each port; at the limit the connection idle for longest makes room for "
        "a new one, and without an idle one the new one is refused.",
        ge=1,
        le=10_000,
    )
    max_connections_per_peer: Whole = _setting(
        Group.LIMITS,
        128,
        "The same for the connections from one address; behind a proxy all clients have its address.",
        ge=1,
        le=10_000,
    )
    idle_timeout: Number = _setting(
        Group.LIMITS,
        300.0,
        "Close a connection that has been silent this long.",
        unit="seconds",
        ge=1.0,
        le=86_400.0,
    )
    send_timeout: Number = _setting(
        Group.LIMITS,
        60.0,
        "Disconnect a client that reads no audio for this long.",
        unit="seconds",
        ge=1.0,
        le=3600.0,
    )
    step_timeout: Number = _setting(
        Group.LIMITS,
        60.0,
        "How long one step of computing, such as a chunk of audio, may take; then it is stopped, and its "
        "voice not used for ten minutes. Time in which other work has the cores does not count, up to ten "
        "times as long in all. Raise it if an ordinary sentence takes that long.",
        unit="seconds",
        ge=1.0,
        le=3600.0,
    )
    shutdown_grace: Number = _setting(
        Group.LIMITS,
        10.0,
        "How long running streams may continue after a signal to stop; a second signal ends the server "
        "at once.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )

    cache_memory: Whole = _setting(
        Group.COMPUTING,
        16,
        "Memory of the cache of spoken segments, 20 s of speech per MB; 0 disables it.",
        unit="MB",
        ge=0,
        le=65_536,
    )
    cache_dir: AnyPath | None = _setting(
        Group.COMPUTING, None, "Directory that keeps spoken segments across restarts.", shown="none"
    )
    cache_disk: Whole = _setting(
        Group.COMPUTING, 512, "Largest size of `cache_dir`.", unit="MB", ge=1, le=1_048_576
    )
    cache_url: Annotated[str, AfterValidator(_cache_server)] | None = _setting(
        Group.COMPUTING,
        None,
        "Redis or Valkey server by which servers share spoken segments; while it fails, all else goes on.",
        shown="none",
        expects="redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], or rediss://... for TLS",
    )
    kept_audio: Whole = _setting(
        Group.COMPUTING,
        50,
        "Space for finished audio that HTTP clients ask to keep for a download (`return_download_link`), for "
        "an hour, in the system's directory for temporary files; 0 keeps none.",
        unit="MB",
        ge=0,
        le=1_048_576,
    )
    prepare: Phrases = _setting(
        Group.COMPUTING,
        (),
        "Phrases rendered into the cache at the start; several flags, a list in the file, or lines "
        "in the environment.",
        shown="none",
        expects="texts",
    )
    use_cuda: bool = _setting(
        Group.COMPUTING,
        False,
        "Compute on an NVIDIA GPU if onnxruntime-gpu is installed, else on the CPU.",
    )
    cuda_device: Whole = _setting(
        Group.COMPUTING,
        0,
        "Number of the GPU for `use_cuda`, as CUDA counts them.",
        ge=0,
        le=255,
    )
    preload: Phrases = _setting(
        Group.COMPUTING,
        (),
        "Voices that are loaded at the start, after the default voice and in this order, so that their first "
        "word comes as soon as any other; at most as many models as `max_loaded_voices`; several flags, a "
        "list in the file, or lines in the environment.",
        shown="none",
        expects="names of voices",
    )
    max_loaded_voices: Whole = _setting(
        Group.COMPUTING, 4, "Largest number of models kept in memory.", ge=1, le=64
    )
    max_model_memory: Whole = _setting(
        Group.COMPUTING,
        0,
        "Largest memory for models, by the size of their files; 0 is no limit.",
        unit="MB",
        ge=0,
        le=1_048_576,
    )
    unload_after: Number = _setting(
        Group.COMPUTING,
        0.0,
        "Unload a model that nobody has spoken with for this long; it is loaded again when it is needed; "
        "0 is never.",
        unit="seconds",
        ge=0.0,
        le=604_800.0,
    )
    compute_threads: Whole = _setting(
        Group.COMPUTING,
        0,
        "Steps computed at the same time, one core each under load; 0 takes all cores.",
        ge=0,
        le=256,
    )
    intra_op_threads: Whole = _setting(
        Group.COMPUTING, 0, "Threads of a step that has all cores; 0 takes up to 4.", ge=0, le=256
    )
    kokoro_decode: Literal["chunked", "whole"] = _setting(
        Group.COMPUTING,
        "chunked",
        "How Kokoro decodes a sentence: `chunked` in chunks, heard from the first one on, once the voice has "
        "been calibrated in the background; `whole` always as a whole, so it is cut early to be heard early.",
    )

    remote: Annotated[Phrases, AfterValidator(_upstreams)] = _setting(
        Group.REMOTE,
        (),
        "Other servers whose voices are used like local ones: `http://HOST:PORT` for OpenAI's speech API, "
        "`tcp://HOST:PORT` for Wyoming.",
        shown="none",
        expects="addresses such as http://gpu.local:8880 or tcp://192.168.1.5:10200",
    )
    remote_key: Name | None = _setting(
        Group.REMOTE, None, "API key for the remote servers.", shown="none", expects="a text"
    )
    remote_model: Name = _setting(Group.REMOTE, "tts-1", "Model name sent in HTTP requests.")
    remote_voices: Phrases = _setting(
        Group.REMOTE,
        (),
        "Voices of remote servers that do not list them, as `NAME` or `NAME=LANGUAGE`.",
        shown="the servers' lists",
        expects="texts of the form NAME or NAME=LANGUAGE",
    )
    remote_path: Annotated[str, AfterValidator(_speech_path)] = _setting(
        Group.REMOTE,
        SPEECH_PATH,
        "Path of requests for speech over HTTP, for servers whose API is not OpenAI's; placeholders as in "
        "`remote_body`.",
        expects="a path such as /generate",
    )
    remote_body: Annotated[str | None, BeforeValidator(_speech_body)] = _setting(
        Group.REMOTE,
        None,
        "Body of these requests: JSON, or a mapping in the file, with the placeholders `{text}`, `{voice}`, "
        "`{speaker}`, `{language}` (en), `{locale}` (en-US), `{speed}`, `{rate}` and `{model}`.",
        shown="OpenAI's",
        expects='a JSON object with the text in it, such as {"text": "{text}", "stream": true}',
    )
    remote_pcm_rate: Whole = _setting(
        Group.REMOTE,
        24_000,
        "Sample rate of PCM whose server does not state it; WAV states its own.",
        unit="Hz",
        ge=4_000,
        le=192_000,
    )
    remote_pcm_format: Literal["s16le", "f32le"] = _setting(
        Group.REMOTE,
        "s16le",
        "Samples of PCM without a header: whole numbers of 16 bits, or floating-point numbers of 32 bits.",
    )
    remote_connect_timeout: Number = _setting(
        Group.REMOTE, 2.0, "How long connecting may take.", unit="seconds", ge=0.1, le=60.0
    )
    remote_first_byte_timeout: Number = _setting(
        Group.REMOTE,
        10.0,
        "How long the first audio may take before another server is tried.",
        unit="seconds",
        ge=0.1,
        le=300.0,
    )
    remote_fallback: bool = _setting(
        Group.REMOTE, True, "Use the embedded voice if no remote server responds."
    )

    debug: bool = _setting(Group.LOGGING, False, "Log at debug level.")
    log_style: Literal["text", "json"] = _setting(
        Group.LOGGING, "text", "Log lines as text, or as JSON objects."
    )
    log_requests: bool = _setting(
        Group.LOGGING,
        False,
        "Log a line for each request over HTTP, WebSocket and Wyoming: client, method, path without its "
        "query, status, bytes and seconds; never texts, keys or tokens.",
    )
    state_dir: AnyPath = _setting(
        Group.LOGGING,
        _state_directory,
        "Directory of what the server records for itself; a data directory may be shared, or a checkout.",
        shown="systemd's StateDirectory, else the user's, ~/.local/state/wyoming-tts on Linux",
    )
    metrics: bool = _setting(
        Group.LOGGING, True, "Record each utterance in `metrics_file`, without its text; `stats` reads it."
    )
    metrics_file: AnyPath = _setting(
        Group.LOGGING,
        lambda values: values["state_dir"] / JOURNAL_NAME,
        "Where utterances are recorded; rotated at 5 MB, with two old files kept.",
        shown="metrics.jsonl in the state directory",
    )
    log_format: Annotated[str, AfterValidator(_log_format)] = _setting(
        Group.LOGGING,
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "Format of log lines, as in Python's logging.",
        expects="a %-style logging format such as '%(levelname)s %(message)s'",
    )

    @property
    def former_metrics_file(self) -> Path | None:
        """Where earlier versions recorded utterances by default; None if `metrics_file` was chosen."""
        return None if "metrics_file" in self.model_fields_set else self.download_dir / JOURNAL_NAME

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is never shown, wherever it may come from."""
        signing = (entry.partition("=")[2] for entry in self.token_keys)
        password = urlsplit(self.cache_url or "").password
        given = [self.remote_key, password, password and unquote(password)]
        return (*self.api_keys, *signing, *filter(None, given))
