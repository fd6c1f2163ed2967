"""The settings themselves: each with its type, default, range and meaning.

Nothing here reads flags, variables or files; everything that shows or reads settings is made from
this model, so none of them can name a setting that another one lacks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

PREFIX = "WYOMING_TTS_"
"""Of every setting's name in the environment."""


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
    """The characters without spaces between them; `none` is how a file or a variable says "no characters"."""
    return "" if characters == "none" else "".join(characters.split())


def _log_format(text: str) -> str:
    try:
        logging.Formatter(text).format(logging.makeLogRecord({"msg": "a record to try it with"}))
    except TypeError as error:  # pydantic takes a ValueError alone for a wrong value
        raise ValueError(str(error)) from error
    return text


def _not_a_switch(value: object) -> object:
    """Pydantic would read YAML's `yes` as the number 1."""
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
    """A field of `Settings`.

    `shown` stands for a default that is worked out, `expects` for what is allowed where type and limits do
    not say it.
    """
    extra: dict[str, Any] = {"group": group, "unit": unit, "shown": shown, "expects": expects}
    given = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**given, description=text, json_schema_extra=extra, **limits)


class Settings(BaseModel):
    """What the server is told, from keywords alone; `load_settings` reads the outer world."""

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
        "Where to listen, in place of host and port.",
        shown="tcp://HOST:PORT",
        expects="tcp://HOST:PORT, unix:///PATH or stdio://",
    )
    zeroconf: bool = _setting(
        Group.LISTENING,
        True,
        "Announce the server in the local network, under the given instance name if there is one; "
        "only a tcp:// server can be announced.",
        expects="true, false or an instance name",
    )
    zeroconf_name: Annotated[str, AfterValidator(_instance_name)] | None = _setting(
        Group.LISTENING,
        None,
        "Instance name of the announcement; must differ between the servers of a network.",
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
        "Zero bytes of PCM sent first over HTTP, for proxies that hold back small bodies.",
        unit="bytes",
        ge=0,
        le=1_048_576,
    )
    mp3_bitrate: Whole = _setting(
        Group.LISTENING, 96, "Bit rate of MP3 over HTTP.", unit="kbit/s", ge=32, le=320
    )
    opus_bitrate: Whole = _setting(
        Group.LISTENING, 48, "Bit rate of Opus over HTTP.", unit="kbit/s", ge=8, le=256
    )
    realtime_flush_idle_ms: Whole = _setting(
        Group.LISTENING,
        160,
        "Over the realtime WebSocket, speak what is there when no text has come for so long.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    ui: bool = _setting(Group.LISTENING, True, "Serve the web page, on the port of the HTTP API.")
    ui_start: Literal["first_visit", "ready"] = _setting(
        Group.LISTENING,
        "first_visit",
        "When the page is made, which takes some seconds and 75 MB: with the `first_visit`, or once the "
        "server is `ready`.",
    )

    api_keys: Phrases = _setting(
        Group.ACCESS,
        (),
        "Keys of which the HTTP API wants one, as `Authorization: Bearer KEY`; several flags, a list in the "
        "file, or lines in the environment.",
        shown="none is wanted",
        expects="texts",
    )
    allow_networks: Annotated[Phrases, AfterValidator(_networks)] = _setting(
        Group.ACCESS,
        (),
        "Networks whose machines are served, such as `192.168.1.0/24`; this machine always is.",
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
        "Most HTTP requests for speech from one address within a minute; 0 is no limit.",
        ge=0,
        le=100_000,
    )
    max_body_kb: Whole = _setting(
        Group.ACCESS, 1024, "Largest body of an HTTP request.", unit="kB", ge=16, le=1_048_576
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
        "Engine that speaks: piper, kokoro, espeak or one installed beside them; auto goes by the voice.",
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

    voice_map: Phrases = _setting(
        Group.VOICES,
        (),
        "Names of your own for voices, such as `butler=en_GB-alan-low`; several flags, a list in the file, "
        "or lines in the environment.",
        shown="OpenAI's names, as Kokoro voices alike",
        expects="texts of the form NAME=VOICE",
    )
    advertise: Literal["installed", "all"] = _setting(
        Group.VOICES,
        "installed",
        "Voices that clients are told of: `installed`, or `all`, with those that could be fetched marked so.",
    )

    speed: Number = _setting(
        Group.SPEECH, 1.0, "Pace: 2 takes half the time.", unit="times the voice's own", ge=0.25, le=4.0
    )
    length_scale: Number | None = _setting(
        Group.SPEECH,
        None,
        "Length of Piper's phonemes; speed divides it.",
        shown="the voice's own",
        gt=0.0,
        le=10.0,
    )
    noise_scale: Number | None = _setting(
        Group.SPEECH, None, "Variation of Piper's sound.", shown="the voice's own", ge=0.0, le=10.0
    )
    noise_w_scale: Number | None = _setting(
        Group.SPEECH,
        None,
        "Variation of the length of Piper's phonemes.",
        shown="the voice's own",
        ge=0.0,
        le=10.0,
    )
    volume: Number = _setting(
        Group.SPEECH,
        1.0,
        "Gain on top of the voice's level; peaks are limited.",
        unit="times",
        ge=0.0,
        le=4.0,
    )
    loudness: Number = _setting(
        Group.SPEECH, -20.0, "Level all voices are brought to.", unit="LUFS", ge=-40.0, le=-10.0
    )
    sentence_silence: Number = _setting(
        Group.SPEECH, 0.0, "Silence added between two sentences.", unit="seconds", ge=0.0, le=10.0
    )
    paragraph_silence: Number = _setting(
        Group.SPEECH,
        0.3,
        "Silence added between two paragraphs, if that is more.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    trailing_silence: Number = _setting(
        Group.SPEECH,
        0.0,
        "Silence added behind the last word, for players that cut it off.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    auto_punctuation: Annotated[str, AfterValidator(_punctuation)] = _setting(
        Group.SPEECH,
        ".?!。？！．؟",
        "A text that ends in none of these characters gets the first one; `none` switches that off.",
        expects="punctuation characters, or none",
        pattern=r"^(\W*|none)$",
    )
    first_segment_boundaries: Annotated[str, AfterValidator(_punctuation)] = _setting(
        Group.SPEECH,
        _CUT_MARKS,
        "Where a long first sentence may be cut, so that the first audio comes sooner; `none` cuts nowhere.",
        expects="punctuation characters, or none",
        pattern=r"^([^\w\s]*|none)$",
    )
    first_segment_min_words: Whole = _setting(
        Group.SPEECH, 3, "Words a cut first sentence has at least.", unit="words", ge=1, le=100
    )
    first_segment_max_words: Whole | None = _setting(
        Group.SPEECH,
        None,
        "Words after which a first sentence without a boundary is cut between words; 0 cuts at none.",
        unit="words",
        shown="the engine's: 8 for Kokoro, 0 for Piper",
        ge=0,
        le=100,
    )
    flush_idle_ms: Whole = _setting(
        Group.SPEECH,
        0,
        "Speak what is there when no text has come for so long; 0 waits for the sentence's end.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    streaming: bool = _setting(
        Group.SPEECH, True, "Offer clients to send text piece by piece and hear it while it still arrives."
    )
    samples_per_chunk: Whole = _setting(
        Group.SPEECH, 1024, "Most samples in one audio event.", unit="samples", ge=64, le=65536
    )

    markdown: bool = _setting(
        Group.TEXT, True, "Read Markdown as it is meant; off reads asterisks and hashes as they stand."
    )
    code_blocks: Literal["skip", "announce", "read"] = _setting(
        Group.TEXT, "skip", "Fenced code: `skip` leaves it out, `announce` says `code_block_notice`, `read`."
    )
    code_block_notice: str = _setting(
        Group.TEXT, "Code is left out.", "What is said in the place of a code block that is announced."
    )
    emoji: Literal["drop", "name"] = _setting(
        Group.TEXT, "drop", "Emoji: `drop` leaves them out, `name` says what they show."
    )
    spoken_forms: bool = _setting(
        Group.TEXT,
        True,
        "Say units, times, dates, amounts, addresses and the like in words (English, German, French, "
        "Spanish, Italian, Dutch).",
    )
    voice_tags: bool = _setting(
        Group.TEXT, False, "Take `[voice:NAME]`, `[lang:CODE]` and `[pause:1s]` in plain text for tags."
    )

    update_voices: bool = _setting(
        Group.DOWNLOADS, False, "Fetch the current list of Piper voices at the start."
    )
    on_missing_voice: Literal["wait", "fallback", "error"] = _setting(
        Group.DOWNLOADS,
        "wait",
        "A request for a voice that is being fetched: `wait` up to `download_wait`, then the embedded voice "
        "speaks; `fallback` has it speak at once; `error`.",
    )
    download_wait: Number = _setting(
        Group.DOWNLOADS,
        20.0,
        "How long a request waits for a voice that is being fetched, before the embedded one speaks.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )
    offline: bool = _setting(Group.DOWNLOADS, False, "Fetch nothing; speak with what is installed.")
    hub_endpoint: Annotated[str, AfterValidator(_web_address)] = _setting(
        Group.DOWNLOADS,
        "https://huggingface.co",
        "Where voices are fetched from: the Hugging Face hub or a mirror of it.",
        expects="an http:// or https:// address",
    )

    max_segment_chars: Whole = _setting(
        Group.LIMITS, 500, "Longest piece of text rendered in one go.", unit="characters", ge=50, le=5000
    )
    max_text_chars: Whole = _setting(
        Group.LIMITS, 100_000, "Longest text of one request.", unit="characters", ge=100, le=10_000_000
    )
    max_streams: Whole = _setting(
        Group.LIMITS,
        0,
        "Utterances spoken at the same time; 0 takes 8 for each core, 16 at least.",
        ge=0,
        le=1000,
    )
    max_queue: Whole | None = _setting(
        Group.LIMITS,
        None,
        "Utterances that wait for one of those to end; one more is told that the server is busy.",
        shown="twice max_streams",
        ge=0,
        le=10_000,
    )
    max_wait: Number = _setting(
        Group.LIMITS,
        10.0,
        "An utterance whose first audio is expected to take longer is told at once that the server is busy.",
        unit="seconds",
        ge=0.1,
        le=600.0,
    )
    max_connections: Whole = _setting(Group.LIMITS, 128, "Most open connections.", ge=1, le=10_000)
    max_connections_per_peer: Whole = _setting(
        Group.LIMITS, 32, "Most open connections from one address.", ge=1, le=10_000
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
        "Give up a client that takes no audio this long.",
        unit="seconds",
        ge=1.0,
        le=3600.0,
    )
    shutdown_grace: Number = _setting(
        Group.LIMITS,
        10.0,
        "How long running streams may go on once the server is told to stop; a second signal ends it "
        "at once.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )

    cache_memory: Whole = _setting(
        Group.COMPUTING,
        16,
        "Memory for segments that were spoken before, 20 s of speech in each MB; 0 is off.",
        unit="MB",
        ge=0,
        le=65_536,
    )
    cache_dir: AnyPath | None = _setting(
        Group.COMPUTING, None, "Directory that keeps spoken segments over a restart.", shown="none"
    )
    cache_disk: Whole = _setting(
        Group.COMPUTING, 512, "Most that `cache_dir` may hold.", unit="MB", ge=1, le=1_048_576
    )
    prepare: Phrases = _setting(
        Group.COMPUTING,
        (),
        "Phrases spoken into the cache at the start; several flags, a list in the file, or lines "
        "in the environment.",
        shown="none",
        expects="texts",
    )
    use_cuda: bool = _setting(
        Group.COMPUTING,
        False,
        "Compute on an NVIDIA GPU where onnxruntime-gpu is installed, else on the CPU.",
    )
    max_loaded_voices: Whole = _setting(Group.COMPUTING, 4, "Most models kept in memory.", ge=1, le=64)
    max_model_memory: Whole = _setting(
        Group.COMPUTING,
        0,
        "Most memory for models, by the size of their files; 0 is no limit.",
        unit="MB",
        ge=0,
        le=1_048_576,
    )
    compute_threads: Whole = _setting(
        Group.COMPUTING,
        0,
        "Steps computed at the same time, a core each where many listen; 0 takes all cores.",
        ge=0,
        le=256,
    )
    intra_op_threads: Whole = _setting(
        Group.COMPUTING, 0, "Threads of a step that has the machine to itself; 0 takes up to 4.", ge=0, le=256
    )

    remote: Annotated[Phrases, AfterValidator(_upstreams)] = _setting(
        Group.REMOTE,
        (),
        "Other servers whose voices are spoken with as if they were here: `http://HOST:PORT` of one with "
        "OpenAI's speech API, `tcp://HOST:PORT` of one that speaks Wyoming.",
        shown="none",
        expects="addresses such as http://gpu.local:8880 or tcp://192.168.1.5:10200",
    )
    remote_key: Name | None = _setting(
        Group.REMOTE, None, "API key for the remote servers.", shown="none", expects="a text"
    )
    remote_model: Name = _setting(Group.REMOTE, "tts-1", "Model asked for over HTTP.")
    remote_voices: Phrases = _setting(
        Group.REMOTE,
        (),
        "Voices of remote servers that have no list, as `NAME` or `NAME=LANGUAGE`.",
        shown="the servers' lists",
        expects="texts of the form NAME or NAME=LANGUAGE",
    )
    remote_connect_timeout: Number = _setting(
        Group.REMOTE, 2.0, "How long a connection may take.", unit="seconds", ge=0.1, le=60.0
    )
    remote_first_byte_timeout: Number = _setting(
        Group.REMOTE,
        10.0,
        "How long the first audio may take, before another server is asked.",
        unit="seconds",
        ge=0.1,
        le=300.0,
    )
    remote_fallback: bool = _setting(
        Group.REMOTE, True, "Have the embedded voice speak where no remote server answers."
    )

    debug: bool = _setting(Group.LOGGING, False, "Log every detail.")
    log_style: Literal["text", "json"] = _setting(
        Group.LOGGING, "text", "Lines of the log as text, or each as a JSON object."
    )
    metrics: bool = _setting(
        Group.LOGGING, True, "Note each utterance in `metrics_file`, without its text: what `stats` reads."
    )
    metrics_file: AnyPath = _setting(
        Group.LOGGING,
        lambda values: values["download_dir"] / "metrics.jsonl",
        "Where utterances are noted; at 5 MB a new file is begun, and two old ones are kept.",
        shown="metrics.jsonl in the download directory",
    )
    log_format: Annotated[str, AfterValidator(_log_format)] = _setting(
        Group.LOGGING,
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "Form of the lines in the log, as Python's logging has it.",
        expects="a %-style logging format such as '%(levelname)s %(message)s'",
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is never shown, wherever it may come from."""
        return (*self.api_keys, *filter(None, [self.remote_key]))
