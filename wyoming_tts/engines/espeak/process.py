"""Child process that runs libespeak-ng: text in, samples or phonemes out.

The library is not safe with untrusted text: version 1.52.0 crashes on `s'` repeated a hundred times and on
`---` glued to a Hindi word, fuzzing finds more such texts than a filter can foresee, and some of its errors
call exit(). So every request is rendered by a fork that ends with it. That also makes a text sound the same
each time: the library's pitch flutter would otherwise run on into the next text. And its global state stays
apart from that of the phonemizers, which bring libraries of the same name.

Started by `engines/espeak/engine.py` with the paths of the library and of its data. It imports nothing but
the standard library, so that it starts fast. It speaks `engines/child/protocol.py`: the greeting is
`{"version", "voices": [[name, identifier, language], ...]}`; a request is REQUEST, the voice's identifier
and the text; its answer is MARK_COUNT, as many of MARK and 16-bit mono samples, or the phonemes if those were
asked for.
"""

from __future__ import annotations

import ctypes
import os
import struct
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from wyoming_tts.engines.child.protocol import ServerPipe, time_limit

SAMPLE_RATE: Final = 22_050
REQUEST: Final = struct.Struct("<HiiI")
"""Header of a request: bytes of the voice's identifier, words per minute, pitch from 0 to 99, flags."""

MARK_COUNT: Final = struct.Struct("<I")
MARK: Final = struct.Struct("=ii")
"""When a word, a sound or a pause begins: which of them it is, and the samples before it.

A word is the number of code points before it in the text, the others are SOUND and PAUSE.
"""
SOUND: Final = -1
PAUSE: Final = -2

MAX_AUDIO_SECONDS: Final = 120
"""Seconds of audio that one request may make, whatever the library makes of its text; usually at most 15."""

PHONEMES: Final = 0x100
"""The library's flag espeakPHONEMES: `[[…]]` in the text holds phoneme mnemonics."""
END_PAUSE: Final = 0x1000
"""The library's flag espeakENDPAUSE: the pause at the end of the text is spoken."""
RETURN_PHONEMES: Final = 0x1000_0000
"""A flag of our own: the answer is the phonemes spoken, in IPA and UTF-8, not the samples."""

# Values of the library's header, speak_lib.h.
_CHARS_UTF8 = 1
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x1
_INITIALIZE_PHONEME_IPA = 0x2
_INITIALIZE_DONT_EXIT = 0x8000
_INITIALIZE = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT
_RATE = 1
_PITCH = 3
_POSITION_CHARACTER = 1
_TRACE_IPA = 2
_EVENTS_END = 0
_EVENT_WORD = 1
_EVENT_END = 5
_EVENT_PHONEME = 7
_SILENT = (0, ord("("))
"""What the names of pauses, which have none, and of changes of the language, `(en)`, begin with."""

# An event is read as integers, as an object for each field of it takes five times as long. It has an address
# of the user's and the name of a phoneme at its end.
_EVENT_INTEGERS = 10
_TYPE, _TEXT_POSITION, _SAMPLE, _NAME = 0, 2, 5, 8
_FIRST_BYTE = 0xFF

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int))


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


class EspeakLibrary:
    """libespeak-ng, loaded and initialized.

    Raises:
        OSError: it cannot be loaded or does not start; the message says why.
    """

    def __init__(self, library: str, data: str) -> None:
        self._samples: list[bytes] = []
        self._samples_left = 0
        self._marks = array("i")
        self._c = _with_signatures(ctypes.CDLL(library))
        rate = self._c.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _INITIALIZE)
        if rate != SAMPLE_RATE:
            raise OSError(
                f"espeak_Initialize returned {rate}, expected {SAMPLE_RATE}, with the data in {data}."
            )
        self._callback = _SYNTH_CALLBACK(self._on_rendered)
        self._c.espeak_SetSynthCallback(self._callback)

    @property
    def version(self) -> str:
        """The library's own: `1.52.0`."""
        version: bytes = self._c.espeak_Info(None)
        return version.split()[0].decode()

    def voices(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, identifier and main language code of every voice, without variants."""
        records = self._c.espeak_ListVoices(None)
        at = 0
        while records[at]:
            record = records[at].contents
            # `languages` is a list of strings, each after a byte of priority.
            language = ctypes.string_at(record.languages + 1)
            yield record.name.decode().strip(), record.identifier.decode(), language.decode()
            at += 1

    def speak(self, voice: bytes, text: bytes, *, rate: int, pitch: int, flags: int) -> bytes:
        """Render the text, cut off after MAX_AUDIO_SECONDS: marks, and 16-bit mono samples."""
        self._samples, self._samples_left = [], MAX_AUDIO_SECONDS * SAMPLE_RATE
        self._marks = array("i")
        self._check(self._c.espeak_SetVoiceByName(voice))
        self._check(self._c.espeak_SetParameter(_RATE, rate, 0))
        self._check(self._c.espeak_SetParameter(_PITCH, pitch, 0))
        size = len(text) + 1
        self._check(
            self._c.espeak_Synth(text, size, 0, _POSITION_CHARACTER, 0, flags | _CHARS_UTF8, None, None)
        )
        return b"".join((MARK_COUNT.pack(len(self._marks) // 2), self._marks.tobytes(), *self._samples))

    def phonemes(self, voice: bytes, text: bytes, *, rate: int, pitch: int, flags: int) -> bytes:
        """Return what `speak` would speak, in IPA, a clause a line."""
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

    def _check(self, status: int) -> None:
        if status != 0:
            raise OSError(f"libespeak-ng failed with status {status}.")

    def _on_rendered(self, samples: int | None, count: int, events: Any) -> int:
        """Collect samples, and the events within them (the library's callback); 1 makes it stop."""
        if samples and count > 0:
            self._samples.append(ctypes.string_at(samples, 2 * count))
            self._samples_left -= count
        if events:
            self._marks.extend(_marks(events))
        return int(self._samples_left <= 0)


def _marks(events: Any) -> Iterator[int]:
    """Yield the integers of each MARK."""
    at = 0
    while (kind := events[at + _TYPE]) != _EVENTS_END:
        if kind == _EVENT_PHONEME:
            yield PAUSE if events[at + _NAME] & _FIRST_BYTE in _SILENT else SOUND
            yield events[at + _SAMPLE]
        elif kind == _EVENT_WORD:
            yield max(0, events[at + _TEXT_POSITION] - 1)
            yield events[at + _SAMPLE]
        elif kind == _EVENT_END:
            yield PAUSE
            yield events[at + _SAMPLE]
        at += _EVENT_INTEGERS


def _with_signatures(library: Any) -> Any:
    """Declare the types that ctypes would guess wrong."""
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
    """Whether the data has the voice's dictionary, without which it says nothing."""
    name = Path(identifier).name.split("-")[0].lower()
    for line in (data / "lang" / identifier).read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["dictionary"]:
            name = words[1]
    return (data / f"{name}_dict").exists()


def _greeting(library: EspeakLibrary, data: Path) -> dict[str, object]:
    voices = [voice for voice in library.voices() if _has_dictionary(data, voice[1])]
    return {"version": library.version, "voices": voices}


def _handle(request: bytes, library: EspeakLibrary, server: ServerPipe) -> None:
    voice_bytes, rate, pitch, flags = REQUEST.unpack_from(request)
    content = request[REQUEST.size :]
    voice, text = content[:voice_bytes], content[voice_bytes:]
    method = library.phonemes if flags & RETURN_PHONEMES else library.speak
    flags &= ~RETURN_PHONEMES
    _answer_from_fork(server, partial(method, voice, text, rate=rate, pitch=pitch, flags=flags))


def _answer_from_fork(server: ServerPipe, render: Callable[[], bytes]) -> None:
    """Answer with what `render` returns in a fork, or with the fork's wait status if it died."""
    fork = os.fork()
    if fork == 0:
        try:
            with time_limit():
                rendered = render()
        except OSError:
            os._exit(1)
        server.answer(rendered)
        os._exit(0)
    _, status = os.waitpid(fork, 0)
    if status != 0:
        server.answer(b"", status=status)


def main(library: str, data: str) -> None:
    """Serve standard input until it ends.

    Args:
        library: path of libespeak-ng.
        data: path of its data.
    """
    server = ServerPipe()
    try:
        loaded = EspeakLibrary(library, data)
        greeting = _greeting(loaded, Path(data))
    except OSError as error:
        server.greet({"error": str(error)})
        return
    server.greet(greeting)
    for request in server.requests():
        _handle(request, loaded, server)
