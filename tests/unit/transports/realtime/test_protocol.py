from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime_examples import JSON_EXAMPLES, PYTHON_EXAMPLES
from wyoming_tts.errors import BadRequest, ErrorCode, SpeechError, TooLong, UnknownVoice
from wyoming_tts.speech import SpeakingVoice, VoiceReason
from wyoming_tts.transports.realtime.protocol import (
    AppendText,
    BargeIn,
    CancelResponse,
    Command,
    CommitText,
    EndSession,
    RealtimeProtocol,
    RefusedMessage,
    ReportSession,
    SpeakText,
    TruncateResponse,
    get_event_id,
    parse_message,
)
from wyoming_tts.transports.realtime.server_messages import (
    ResponseMessages,
    refusal_message,
    session_event,
    truncated_event,
)
from wyoming_tts.transports.realtime.session import OpusFormat, RealtimeLimits, RealtimeSession
from wyoming_tts.transports.realtime.transcript import HeardText, TimedWord

LIMITS = RealtimeLimits(message_bytes=2_000, text_chars=500)
SESSION = RealtimeSession("s")
OPUS = OpusFormat(pre_skip=312)


def received(message: Any, protocol: RealtimeProtocol | None = None) -> list[Command]:
    raw = message if isinstance(message, str | bytes) else json.dumps(message)
    return (protocol or RealtimeProtocol(SESSION, LIMITS)).receive(parse_message(raw, LIMITS))


def refusal_of(message: Any) -> RefusedMessage:
    with pytest.raises(RefusedMessage) as error:
        received(message)
    return error.value


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "input.commit"}, CommitText()),
        ({"type": "barge"}, BargeIn()),
        ({"type": "barge", "response": "r", "played_ms": 1_200}, BargeIn("r", 1_200)),
        ({"type": "barge", "played_ms": -1}, BargeIn(None, 0)),
        ({"type": "barge", "response": "r", "played_ms": "5"}, BargeIn("r")),
        ({"type": "barge", "response": 5, "played_ms": 10**30}, BargeIn(None, 1e9)),
        ({"type": "response.cancel", "response": "r", "played_ms": True}, CancelResponse("r")),
        ({"type": "response.truncate", "played_ms": -0.5}, TruncateResponse(None, 0)),
        ({"type": "session.end"}, EndSession()),
        ({"type": "response.cancel"}, CancelResponse(None)),
        ({"type": "response.cancel", "response": "r"}, CancelResponse("r")),
        ({"type": "response.cancel", "response_id": "r"}, CancelResponse("r")),
        ({"type": "response.cancel", "played_ms": 0.5}, CancelResponse(None, 0.5)),
        ({"type": "response.cancel", "played_ms": None}, CancelResponse(None)),
        ({"type": "response.truncate"}, TruncateResponse(None)),
        ({"type": "response.truncate", "response": "r", "played_ms": 9}, TruncateResponse("r", 9)),
        (
            {"type": "conversation.item.truncate", "item_id": "r", "content_index": 0, "audio_end_ms": 9},
            TruncateResponse("r", 9, is_item=True),
        ),
        ({"type": "input.append", "text": "a"}, AppendText(None, "a", SESSION)),
        ({"type": "response.create", "input": "a", "response_id": "r"}, SpeakText("r", "a", SESSION)),
        (
            {"type": "response.create", "input": "a", "voice": "v", "speed": 2, "unknown": []},
            SpeakText(None, "a", replace(SESSION, voice="v", speed=2.0)),
        ),
        ({"continue": True, "input": "a", "segment_id": "s"}, SpeakText("s", "a", SESSION, short=True)),
        ({"input": "a"}, SpeakText(None, "a", SESSION, short=True)),
        ({"continue": False}, EndSession()),
    ],
)
def test_messages_are_parsed_into_commands(message: dict[str, Any], command: Command) -> None:
    assert received(message) == [command]
    assert received(json.dumps(message).encode()) == [command]


def test_the_last_segment_is_spoken_before_the_response_ends() -> None:
    commands = received({"continue": False, "input": "a", "segment_id": "s"})
    assert commands == [SpeakText("s", "a", SESSION, short=True), EndSession()]


def test_an_update_changes_only_the_settings_it_names() -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS)
    received({"type": "session.update", "session": {"voice": "v", "audio": {"sample_rate": 8000}}}, protocol)
    commands = received({"type": "session.update", "session": {"audio": {"binary": True}}}, protocol)
    assert commands == [ReportSession(replace(SESSION, voice="v", sample_rate=8000, binary=True))]
    received({"type": "session.update", "session": {"voice": None}}, protocol)
    assert protocol.session.voice is None


def test_the_leading_silence_is_that_of_the_session_unless_a_response_has_its_own() -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS)
    received({"type": "session.update", "session": {"leading_silence": 0.5}}, protocol)
    for own, expected in (({}, 0.5), ({"leading_silence": 0}, 0.0), ({"leading_silence": None}, None)):
        (speak,) = received({"type": "response.create", "input": "a", **own}, protocol)
        assert isinstance(speak, SpeakText)
        assert speak.session.leading_silence == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": {"format": "opus", "sample_rate": 16_000}},
        {"audio": {"output": {"format": {"type": "audio/opus", "rate": 16_000}}}},
        {"audio": {"output": {"format": "opus"}, "sample_rate": 16_000}},
        {"output_audio_format": "opus", "audio": {"sample_rate": 16_000, "format": None}},
    ],
)
def test_the_format_is_told_by_our_names_and_by_openais(changes: dict[str, Any]) -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS, opus=OPUS)
    opus = replace(SESSION, opus=OPUS, sample_rate=16_000)
    assert received({"type": "session.update", "session": changes}, protocol) == [ReportSession(opus)]
    segment = {"input": "a", "format": "pcm"}
    assert received(segment, protocol) == [SpeakText(None, "a", replace(opus, opus=None), short=True)]
    back = {"type": "session.update", "session": {"output_audio_format": "pcm16"}}
    assert received(back, protocol) == [ReportSession(replace(opus, opus=None))]


@pytest.mark.parametrize(
    ("rate", "opus", "said"),
    [(22_050, OPUS, "22050 Hz, Opus has 8000, 12000"), (24_000, None, "libopus is not installed")],
)
def test_opus_is_refused_at_other_rates_and_without_its_library(
    rate: int, opus: OpusFormat | None, said: str
) -> None:
    protocol = RealtimeProtocol(replace(SESSION, sample_rate=rate), LIMITS, opus=opus)
    update = {"type": "session.update", "session": {"audio": {"format": "opus"}}}
    for message in (update, {"input": "a", "format": "opus"}):
        with pytest.raises(RefusedMessage, match=said):
            received(message, protocol)
    assert protocol.session.opus is None


def test_the_patience_is_that_of_the_session_unless_a_response_has_its_own() -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS)
    received({"type": "session.update", "session": {"patience": 2.5}}, protocol)
    for own, expected in (({}, 2.5), ({"patience": 0}, 0.0), ({"patience": None}, None)):
        (speak,) = received({"type": "response.create", "input": "a", **own}, protocol)
        assert isinstance(speak, SpeakText)
        assert speak.session.patience == expected
    with pytest.raises(RefusedMessage):
        received({"type": "response.create", "input": "a", "patience": 61}, protocol)


def test_a_refused_update_changes_nothing() -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS)
    with pytest.raises(RefusedMessage):
        received({"type": "session.update", "session": {"voice": "v", "audio": {"sample_rate": 7}}}, protocol)
    assert protocol.session == SESSION


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"type": "x"}, "'x', expected one of session.update"),
        ({"type": None}, "type None"),
        ({}, "type None"),
        ({"type": "session.update"}, "without 'session'"),
        ({"type": "session.update", "session": 1}, "Got 1 as 'session'"),
        ({"type": "session.update", "session": {"audio": []}}, "'audio', expected an object"),
        ({"type": "session.update", "session": {"audio": {"format": "mp3"}}}, "'mp3', expected 'pcm'"),
        ({"type": "session.update", "session": {"audio": {"sample_rate": True}}}, "8000 to 48000"),
        ({"type": "session.update", "session": {"audio": {"sample_rate": 96000}}}, "8000 to 48000"),
        ({"type": "session.update", "session": {"audio": {"binary": 1}}}, "true or false"),
        ({"type": "response.create"}, "without 'input'"),
        ({"type": "response.create", "input": 7}, "Got 7 as 'input'"),
        ({"type": "response.create", "input": "", "speed": 5}, "Got 5 as 'speed'"),
        ({"type": "response.create", "input": "", "speed": True}, "Got true as 'speed'"),
        (
            {"type": "response.create", "input": "", "leading_silence": 11},
            "Got 11 as 'leading_silence', expected a",
        ),
        ({"type": "response.create", "input": "", "response_id": ""}, "1 to 128"),
        ({"type": "response.create", "input": "", "response_id": "a" * 129}, "Got 129 characters"),
        ({"type": "session.update", "session": {"words": "yes"}}, "'words', expected true or false"),
        ({"type": "response.truncate", "played_ms": "5"}, "as 'played_ms', expected a number"),
        ({"type": "response.cancel", "response": 5}, "as 'response', expected a string"),
        ({"type": "response.truncate", "audio_end_ms": [1]}, "as 'audio_end_ms', expected a number"),
        ({"type": "input.append"}, "without 'text'"),
        ({"continue": 1}, "true or false"),
        ({"continue": True}, "without 'input'"),
        ('{"type": "response.create", "input": "", "speed": NaN}', "not JSON"),
        ('{"type": "response.create", "input": "", "speed": 1e999}', "a number is too large"),
        ("[1]", "expected a JSON object"),
        (b"\xff", "not JSON: 'utf-8' codec"),
        ("[" * 1_999, "more than 1000 values"),
        ("9" * 1_999, "a number has 1999 digits"),
    ],
)
def test_errors_describe_the_invalid_value(message: Any, said: str) -> None:
    error = refusal_of(message).error
    assert isinstance(error, BadRequest)
    assert said in str(error)


def test_message_and_text_sizes_are_limited() -> None:
    assert isinstance(refusal_of('{"a": "' + "é" * 1_000 + '"}').error, TooLong)
    assert isinstance(refusal_of({"type": "response.create", "input": "a" * 501}).error, TooLong)
    assert received({"type": "response.create", "input": "a" * 500})


def test_a_refusal_names_the_response_it_ends() -> None:
    assert refusal_of({"type": "response.create", "response_id": "r"}).response == "r"
    assert refusal_of({"type": "input.append", "response_id": "r"}).response is None
    short = refusal_of({"segment_id": "s", "input": 7})
    assert (short.response, short.short) == ("s", True)


def test_lone_surrogates_are_removed() -> None:
    (command,) = received('{"type": "response.create", "input": "a\\ud800b", "response_id": "\\udfffr"}')
    assert command == SpeakText("r", "ab", SESSION)


def test_an_invalid_event_id_is_ignored() -> None:
    assert get_event_id({"event_id": "e"}) == "e"
    assert get_event_id({"event_id": ["e"]}) is None
    assert get_event_id({"event_id": "e" * 129}) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = [
    *("type", "session", "audio", "format", "sample_rate", "binary", "speed", "voice", "language"),
    *("input", "text", "response", "response_id", "continue", "segment_id", "event_id"),
    *("output", "output_audio_format"),
    *("words", "played_ms", "audio_end_ms", "item_id"),
]
_TYPES = [
    "session.update",
    "response.create",
    "input.append",
    "input.commit",
    "response.cancel",
    "response.truncate",
    "conversation.item.truncate",
    "barge",
    "session.end",
]
_NEARLY_VALID = st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=6).flatmap(
    lambda message: st.sampled_from(_TYPES).map(lambda kind: message | {"type": kind}) | st.just(message)
)


@given(st.text() | st.binary() | _JSON.map(json.dumps) | _NEARLY_VALID.map(json.dumps))
def test_arbitrary_messages_are_executed_or_refused_with_an_encodable_reply(raw: str | bytes) -> None:
    protocol = RealtimeProtocol(SESSION, LIMITS, opus=OPUS)
    code = "nothing"
    try:
        assert protocol.receive(parse_message(raw, LIMITS))
    except RefusedMessage as error:
        code = json.loads(refusal_message(error))["code"]
    assert code in {"nothing", "bad_request", "too_long"}
    session = protocol.session
    assert 8_000 <= session.sample_rate <= 48_000
    assert session.speed is None or 0.25 <= session.speed <= 4.0
    session_event("session.updated", session).encode()


@given(st.binary(max_size=100))
def test_audio_round_trips_in_every_message_format(pcm: bytes) -> None:
    event = json.loads(ResponseMessages("r", SESSION).audio(pcm))
    assert base64.b64decode(event["delta"]) == pcm
    assert ResponseMessages("r", replace(SESSION, binary=True)).audio(pcm) == pcm
    assert ResponseMessages("r", SESSION, short=True).audio(pcm) == pcm


def test_all_error_codes_map_to_the_documented_ones() -> None:
    codes = set()
    for code in ErrorCode:
        kind = type("Failure", (SpeechError,), {"code": code})
        codes.add(json.loads(ResponseMessages("r", SESSION).failed(kind("It failed."))[0])["code"])
    refused = {"too_long", "bad_request", "unknown_voice", "rate_limit_exceeded"}
    token = {"token_expired", "token_used_up", "voice_not_allowed"}
    assert codes == {*refused, *token, "busy", "internal", "shutting_down"}


GOOD = TimedWord("Good", 35, 290, 0, 4, 0, 4, estimated=False)
SPEAKING = SpeakingVoice("espeak-de", VoiceReason.FALLBACK, "de_DE-thorsten-high")
HEARD = HeardText(640, "Good", (GOOD,))


@pytest.mark.parametrize(
    "messages",
    [
        ResponseMessages("r", SESSION, short=True),
        ResponseMessages("r", replace(SESSION, words=False)),
    ],
)
def test_words_are_not_told_where_they_are_not_wanted(messages: ResponseMessages) -> None:
    assert messages.words([GOOD]) == []
    assert ResponseMessages("r", SESSION).words([]) == []


def test_what_was_heard_is_counted_in_code_points_and_in_utf_16() -> None:
    heard = json.loads(truncated_event("r", HeardText(5, "😀 Hi", ())))["heard"]
    assert (heard["end"], heard["utf16_end"]) == (4, 5)
    unknown = json.loads(truncated_event("r", HeardText(5, None, ())))["heard"]
    assert unknown == {"played_ms": 5, "text": None, "end": None, "utf16_end": None, "words": []}


def _server_messages() -> list[dict[str, Any]]:
    """One message of each kind and shape."""
    refused_message = RefusedMessage(BadRequest("b"))
    refused_message.event_id = "e"
    sessions = (SESSION, replace(SESSION, opus=OPUS))
    answers = [ResponseMessages("r", each, short) for each in sessions for short in (False, True)]
    full = answers[0]
    frames = [
        session_event("session.created", SESSION),
        *(session_event("session.updated", session) for session in sessions),
        refusal_message(refused_message),
        full.audio(b"ab"),
        truncated_event("r", HEARD),
        truncated_event("r", HEARD, is_item=True),
    ]
    for answer in answers:
        frames += [
            *answer.started(),
            *answer.voice(SPEAKING),
            *answer.completed(9, SPEAKING),
            *answer.words([GOOD]),
            *answer.canceled(HEARD),
            *answer.failed(UnknownVoice("u")),
        ]
    return [json.loads(frame) for frame in frames]


def _shape(message: Any) -> Any:
    return {key: _shape(value) for key, value in message.items()} if isinstance(message, dict) else None


@pytest.mark.parametrize("example", JSON_EXAMPLES, ids=lambda example: str(example.get("type", "short")))
def test_examples_in_the_document_are_valid_messages(example: dict[str, Any]) -> None:
    valid_shapes = [(message["type"], _shape(message)) for message in _server_messages()]
    if (example.get("type"), _shape(example)) not in valid_shapes:
        assert received(example)


def test_the_document_has_an_example_of_every_message() -> None:
    documented = [(example.get("type"), _shape(example)) for example in JSON_EXAMPLES]
    assert [
        message for message in _server_messages() if (message["type"], _shape(message)) not in documented
    ] == []
    assert [kind for kind in _TYPES if kind not in dict(documented)] == []


@pytest.mark.parametrize("example", PYTHON_EXAMPLES)
def test_python_examples_in_the_document_compile(example: str) -> None:
    compile(example, "realtime.md", "exec")
