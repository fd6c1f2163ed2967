"""Benchmark target over HTTP: OpenAI's `/v1/audio/speech`, streamed as PCM, one request per connection."""

from __future__ import annotations

import json

import h11

from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.http_connection import (
    DEFAULT_SAMPLE_RATE,
    HttpReplyParser,
    WebAddress,
    measure_voices_latency,
    require_voices,
)
from wyoming_tts.bench.targets.listener import Listener, ListenerRequest, RequestOutcome, TimedWrite
from wyoming_tts.client import ClientError
from wyoming_tts.http_paths import SPEECH_PATH

_RAW_TYPES = {b"pcm", b"l16", b"raw", b"x-raw"}
_BYTES_PER_SAMPLE = 2
_MAX_ERROR_BYTES = 65_536
_OK = 200


class HttpTarget:
    """A server under test, reached over HTTP."""

    def __init__(self, uri: str, options: BenchOptions) -> None:
        self._address = WebAddress.parse(uri, options.api_key)
        self._options = options

    async def identify(self, *, streams: bool) -> str:
        """Check that the server lists its voices; its name in the table is always `HTTP`.

        Raises:
            ClientError: it cannot be reached, or `streams` is set: HTTP takes no streamed text.
        """
        if streams:
            raise ClientError(
                f"{self._address.uri} takes no streamed text: HTTP does not support it.",
                hint="Measure it with --input plain or --mode sentences.",
            )
        await require_voices(self._address)
        return "HTTP"

    def make_request(self, text: str, input_: Input) -> ListenerRequest:
        """Encode a text as one POST request."""
        assert input_ is Input.PLAIN, "HTTP takes no streamed text; `identify` refuses it"
        body = {"model": "tts-1", "input": text, "response_format": "pcm", "stream": True}
        if self._options.voice is not None:
            body["voice"] = self._options.voice
        return ListenerRequest((TimedWrite(0.0, self._address.request("POST", SPEECH_PATH, body)),))

    async def connect(self, request: ListenerRequest) -> Listener:
        """Connect a listener; raises OSError if that fails."""
        return await self._address.open_connection(lambda: HttpListener(request))

    async def measure_describe_latency(self, time_limit: float) -> float | None:
        """Seconds from connecting to the list of voices; None if there is none in `time_limit` seconds."""
        return await measure_voices_latency(self._address, time_limit)


class HttpListener(Listener):
    """Records the audio of an HTTP reply, whose body is 16-bit mono PCM."""

    def __init__(self, request: ListenerRequest) -> None:
        super().__init__(request)
        self._replies = HttpReplyParser()
        self._rate = DEFAULT_SAMPLE_RATE
        self._status = _OK
        self._error_body = bytearray()

    def data_received(self, data: bytes) -> None:
        """Record the part of the reply received, at the time of the read."""
        self._mark_active()
        self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the reply: properly if it has no length, else as cut off."""
        if exc is None:
            self._read(b"")
        super().connection_lost(exc)

    def _read(self, data: bytes) -> None:
        if self._outcome is not None:
            return
        try:
            for event in self._replies.feed(data):
                self._take(event)
        except h11.RemoteProtocolError:
            self._finish(RequestOutcome.CUT_OFF, "not HTTP" if data else "closed")

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            self._begin(event)
        elif isinstance(event, h11.Data):
            if self._status == _OK:
                self._record_audio(len(event.data) / (_BYTES_PER_SAMPLE * self._rate))
            else:
                self._error_body += event.data[: _MAX_ERROR_BYTES - len(self._error_body)]
        elif isinstance(event, h11.EndOfMessage):
            self._end_of_body()

    def _begin(self, response: h11.Response) -> None:
        headers = dict(response.headers)
        self._status = response.status_code
        kind, _, form = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().partition(b"/")
        rate = headers.get(b"x-sample-rate", b"")
        if rate.isdigit() and int(rate) > 0:
            self._rate = int(rate)
        if self._status == _OK and kind == b"audio" and form not in _RAW_TYPES:
            self._finish(RequestOutcome.CUT_OFF, "not PCM")

    def _end_of_body(self) -> None:
        if self._status == _OK:
            self._finish_spoken()
        else:
            self._finish(
                RequestOutcome.REFUSED, _error_code(bytes(self._error_body)) or f"http {self._status}"
            )


def _error_code(body: bytes) -> str | None:
    """Parse the code of an error in OpenAI's format; None if there is none."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(code) if code else None
