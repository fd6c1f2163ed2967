"""Scripts of hostile Wyoming servers: malformed, endless and truncated data, until the client disconnects."""

from __future__ import annotations

import json
from types import MappingProxyType

from tests.support.scripted_server import Script, ScriptedConnection


def _line(**header: object) -> bytes:
    return json.dumps({"type": "audio-chunk"} | header).encode() + b"\n"


def _send_then_wait(first: bytes, *, repeat_forever: bytes = b"") -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read()
        try:
            await conversation.send_bytes(first)
            while repeat_forever:
                await conversation.send_bytes(repeat_forever)
        except ConnectionError:
            return
        await conversation.closed()

    return script


_ENDLESS = b"a" * 65_536

NOT_WYOMING = MappingProxyType(
    {
        "an endless first line": _send_then_wait(b'{"type": "', repeat_forever=_ENDLESS),
        "a huge length of data": _send_then_wait(_line(data_length=10**12), repeat_forever=_ENDLESS),
        "a huge length of payload": _send_then_wait(_line(payload_length=10**12), repeat_forever=_ENDLESS),
        "a length without end": _send_then_wait(
            b'{"type": "info", "data_length": 1' + b"0" * 50_000 + b"}\n"
        ),
        "a negative length": _send_then_wait(_line(payload_length=-1)),
        "JSON nested without end": _send_then_wait(
            b'{"type": "info", "data": {"tts":' + b"[" * 60_000 + b"\n"
        ),
        "data nested without end": _send_then_wait(
            b'{"type": "info", "data_length": 60000}\n' + b'{"tts":' + b"[" * 59_993
        ),
        "data that is no JSON": _send_then_wait(b'{"type": "info", "data_length": 4}\n\xff\xff\xff\xff'),
        "another protocol": _send_then_wait(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "binary garbage": _send_then_wait(bytes(range(255, 0, -1)), repeat_forever=bytes(range(256)) * 256),
    }
)
"""Data that is not Wyoming and has to be refused, by name."""


def _send_then_close(data: bytes) -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read()
        await conversation.send_bytes(data)

    return script


CUT_OFF = MappingProxyType(
    {
        "nothing": _send_then_close(b""),
        "half a first line": _send_then_close(b'{"type": "aud'),
        "a first line without its data": _send_then_close(_line(data_length=20)),
        "half of the data": _send_then_close(_line(data_length=20) + b'{"rate":'),
        "half of a payload": _send_then_close(_line(payload_length=1000) + bytes(500)),
    }
)
"""Data after which the connection ends, within an event or before the first, by name."""
