"""libespeak-ng in a process of its own: text in on standard input, samples out on standard output.

The library is not safe with text from strangers: version 1.52.0 dies of `s'` a hundred times over and of
`---` glued to a Hindi word, fuzzing finds more such texts than a filter can know, and some of its errors call
exit(). So every request is rendered by a fork that ends with it. That also makes a text sound the same each
time: the library's pitch flutter would else run on into the next text. And its global state stays apart from
the phonemizers', which bring libraries of the same name.

Run as a script by `engines.espeak`, with the paths of the library and of its data. Needs nothing but the
standard library, so that it starts fast. It says first what it is: LENGTH and that many bytes of JSON,
`{"version", "voices": [[name, identifier, language], ...]}` or `{"error"}`. Each REQUEST, followed by
the voice's identifier and the text, it answers with ANSWER, followed by 16-bit mono samples (or by the
phonemes, if asked for those). It ends when its input does.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

SAMPLE_RATE: Final = 22_050
LENGTH: Final = struct.Struct("<I")
REQUEST: Final = struct.Struct("<HIiiI")
"""Bytes of the voice's identifier, bytes of the text, words per minute, pitch from 0 to 99, flags."""
ANSWER: Final = struct.Struct("<iI")
"""0 or what `waitpid` said of the fork that broke, bytes of samples."""

MOST_SECONDS: Final = 120
"""Seconds of audio one request may make, whatever the library makes of its text; it makes about 15."""
RENDER_SECONDS: Final = 30
"""Real seconds one request may take; it takes about 10 ms."""

PHONEMES: Final = 0x100
END_PAUSE: Final = 0x1000
TELL_PHONEMES: Final = 0x1000_0000
"""A flag of our own: what is answered is the phonemes spoken, in IPA and UTF-8, not the samples."""

# Values of the library's header, speak_lib.h.
_CHARS_UTF8 = 1
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_RATE = 1
_PITCH = 3
_POSITION_CHARACTER = 1
_TRACE_IPA = 2

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _VoiceRecord(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Library:
    """The loaded library.

    Raises:
        OSError: it cannot be loaded or does not start; the message says why.
    """

    def __init__(self, library: str, data: str) -> None:
        self._made: list[bytes] = []
        self._room = 0
        self._c = _declared(ctypes.CDLL(library))
        rate = self._c.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _INITIALIZE_DONT_EXIT)
        if rate != SAMPLE_RATE:
            raise OSError(
                f"espeak_Initialize returned {rate}, expected {SAMPLE_RATE}, with the data in {data}."
            )
        self._on_samples = _SYNTH_CALLBACK(self._received)
        self._c.espeak_SetSynthCallback(self._on_samples)

    @property
    def version(self) -> str:
        """As the library tells it: `1.52.0`."""
        version: bytes = self._c.espeak_Info(None)
        return version.split()[0].decode()

    def voices(self) -> Iterator[tuple[str, str, str]]:
        """Name, identifier and main language code of every voice of its own, variants left out."""
        records = self._c.espeak_ListVoices(None)
        at = 0
        while records[at]:
            record = records[at].contents
            # `languages` is a list of texts, each behind a byte of priority.
            language = ctypes.string_at(record.languages + 1)
            yield record.name.decode().strip(), record.identifier.decode(), language.decode()
            at += 1

    def speak(self, voice: bytes, text: bytes, *, rate: int, pitch: int, flags: int) -> bytes:
        """The text as 16-bit mono samples, cut off after MOST_SECONDS."""
        self._made, self._room = [], MOST_SECONDS * SAMPLE_RATE
        self._checked(self._c.espeak_SetVoiceByName(voice))
        self._checked(self._c.espeak_SetParameter(_RATE, rate, 0))
        self._checked(self._c.espeak_SetParameter(_PITCH, pitch, 0))
        size = len(text) + 1
        self._checked(
            self._c.espeak_Synth(text, size, 0, _POSITION_CHARACTER, 0, flags | _CHARS_UTF8, None, None)
        )
        return b"".join(self._made)

    def phonemes(self, voice: bytes, text: bytes, *, rate: int, pitch: int, flags: int) -> bytes:
        """What `speak` speaks, in IPA, a clause a line."""
        c = ctypes.CDLL(None)
        c.open_memstream.restype = ctypes.c_void_p
        content, size = ctypes.c_void_p(), ctypes.c_size_t()
        stream = ctypes.c_void_p(c.open_memstream(ctypes.byref(content), ctypes.byref(size)))
        self._c.espeak_SetPhonemeTrace(_TRACE_IPA, stream)
        self.speak(voice, text, rate=rate, pitch=pitch, flags=flags)
        self._c.espeak_SetPhonemeTrace(0, None)
        c.fclose(stream)
        # Not freed: the fork ends.
        return ctypes.string_at(content, size.value) if content.value else b""

    def _checked(self, status: int) -> None:
        if status != 0:
            raise OSError(f"libespeak-ng failed with status {status}.")

    def _received(self, samples: int | None, count: int, _events: int | None) -> int:
        """Take what was made; returns 1 to have the rest left out."""
        if samples and count > 0:
            self._made.append(ctypes.string_at(samples, 2 * count))
            self._room -= count
        return int(self._room <= 0)


def _declared(library: Any) -> Any:
    """The library with the types that ctypes would guess wrong."""
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
    library.espeak_SetPhonemeTrace.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    return library


def _has_dictionary(data: Path, identifier: str) -> bool:
    """Whether the data has the dictionary that the voice reads by; without one it says nothing."""
    name = Path(identifier).name.split("-")[0].lower()
    for line in (data / "lang" / identifier).read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["dictionary"]:
            name = words[1]
    return (data / f"{name}_dict").exists()


def _greeting(library: Library, data: Path) -> dict[str, object]:
    voices = [voice for voice in library.voices() if _has_dictionary(data, voice[1])]
    return {"version": library.version, "voices": voices}


def _serve(requests: BinaryIO, out: BinaryIO, library: Library) -> None:
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        voice_bytes, text_bytes, rate, pitch, flags = REQUEST.unpack(header)
        voice, text = requests.read(voice_bytes), requests.read(text_bytes)
        make = library.phonemes if flags & TELL_PHONEMES else library.speak
        flags &= ~TELL_PHONEMES
        _answer(out, partial(make, voice, text, rate=rate, pitch=pitch, flags=flags))


def _answer(out: BinaryIO, speak: Callable[[], bytes]) -> None:
    """Answer with what `speak` makes in a fork, or with how that ended."""
    fork = os.fork()
    if fork == 0:
        samples = _rendered(speak)
        send(out, ANSWER.pack(0, len(samples)) + samples)
        os._exit(0)
    _, status = os.waitpid(fork, 0)
    if status != 0:
        send(out, ANSWER.pack(status, 0))


def _rendered(speak: Callable[[], bytes]) -> bytes:
    """What `speak` makes; ends the process, with nothing sent, if it raises or hangs."""
    signal.alarm(RENDER_SECONDS)
    try:
        samples = speak()
    except OSError:
        os._exit(1)
    signal.alarm(0)
    return samples


def send(out: BinaryIO, content: bytes) -> None:
    """Write it at once."""
    out.write(content)
    out.flush()


def main(library: str, data: str) -> None:
    """Serve standard input until it ends."""
    # The library prints complaints; they must not get between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        speaker = Library(library, data)
        greeting = _greeting(speaker, Path(data))
    except OSError as error:
        speaker, greeting = None, {"error": str(error)}
    content = json.dumps(greeting).encode()
    send(out, LENGTH.pack(len(content)) + content)
    if speaker is not None:
        _serve(sys.stdin.buffer, out, speaker)


if __name__ == "__main__":
    main(*sys.argv[1:])
