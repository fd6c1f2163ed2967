"""A listener of an HTTP server: OpenAI's `/v1/audio/speech`, streamed as PCM, one request a connection."""

from __future__ import annotations

import json

import h11

from wyoming_tts.bench.http_connection import RATE, Replies, WebAddress, check_voices, voices_latency
from wyoming_tts.bench.listener import Listener, ListenerRequest, RequestOutcome, TimedText
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.client import ClientError

_SPEECH = "/v1/audio/speech"
_RAW_TYPES = {b"pcm", b"l16", b"raw", b"x-raw"}
_BYTES_PER_SAMPLE = 2
_LONGEST_ERROR = 65_536
_OK = 200


class HttpTarget:
    """A server that is asked over HTTP."""

    def __init__(self, uri: str, options: BenchOptions) -> None:
        self._address = WebAddress.parsed(uri, options.api_key)
        self._options = options

    async def greeted(self, *, streams: bool) -> str:
        """What it is called in the table.

        Raises:
            ClientError: it cannot be reached, or is to take streamed text, which HTTP cannot.
        """
        if streams:
            raise ClientError(
                f"{self._address.uri} takes no streamed text: HTTP has none.",
                hint="Measure it with --input plain or --mode sentences.",
            )
        await check_voices(self._address)
        return "HTTP"

    def request(self, text: str, input_: Input) -> ListenerRequest:
        """The text as it is sent, all at once."""
        assert input_ is Input.PLAIN, "the bench asks for no streams over HTTP"
        body = {"model": "tts-1", "input": text, "response_format": "pcm", "stream": True}
        if self._options.voice is not None:
            body["voice"] = self._options.voice
        return ListenerRequest((TimedText(0.0, self._address.request("POST", _SPEECH, body)),))

    async def connect(self, wanted: ListenerRequest) -> Listener:
        """A listener whose connection stands; raises OSError if nobody answers."""
        return await self._address.connected(lambda: HttpListener(wanted))

    async def describe_latency(self, patience: float) -> float | None:
        """Seconds to the list of voices, on a connection of its own."""
        return await voices_latency(self._address, patience)


class HttpListener(Listener):
    """Takes the body of the reply for 16-bit mono PCM."""

    def __init__(self, wanted: ListenerRequest) -> None:
        super().__init__(wanted)
        self._replies = Replies()
        self._rate = RATE
        self._status = _OK
        self._refusal = bytearray()

    def data_received(self, data: bytes) -> None:
        """Note what came, at the time of the read."""
        self._active()
        self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """A reply without a length ends so; any other is cut off."""
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
            self._end(RequestOutcome.CUT_OFF, "not HTTP" if data else "closed")

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            self._begin(event)
        elif isinstance(event, h11.Data):
            if self._status == _OK:
                self._take_audio(len(event.data) / (_BYTES_PER_SAMPLE * self._rate))
            else:
                self._refusal += event.data[: _LONGEST_ERROR - len(self._refusal)]
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
            self._end(RequestOutcome.CUT_OFF, "not PCM")

    def _end_of_body(self) -> None:
        if self._status == _OK:
            self._end_spoken()
        else:
            self._end(RequestOutcome.REFUSED, _code(bytes(self._refusal)) or f"http {self._status}")


def _code(body: bytes) -> str | None:
    """The code of an error in OpenAI's shape."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(code) if code else None
