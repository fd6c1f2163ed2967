"""The phonemizers of the neural voices in a process of their own: a text in, its phonemes out.

Piper and Kokoro turn text into phonemes with libespeak-ng, which dies of texts that no filter can know, as
`espeak_process` tells; in the server that would be the end of every stream. The packages' own
phonemizers run here, so that not a symbol changes.

Run by `engines.phonemizing`. One process phonemizes for one voice, in one way. It says what it is as
`espeak_process` does, then answers each LENGTH and text of that many bytes with ANSWER and JSON,
`{"phonemes"}` or `{"error"}`. There is no fork for each text, as there: phonemizing takes 0.3 ms, and in a
fork, which copies every page it touches, ten times that. A crash ends the process, and another is started.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from wyoming_tts.engines.espeak.process import ANSWER, LENGTH, RENDER_SECONDS, send

Phonemize = Callable[[str], Any]

REQUEST: Final = LENGTH
"""Bytes of the text."""


def piper(voice: str, vowel_clusters: Iterable[Iterable[str]]) -> Phonemize:
    """Sentences, each a list of phonemes, as the piper package makes them.

    Args:
        voice: as espeak-ng calls it.
        vowel_clusters: the vowels that are one phoneme together.
    """
    found = importlib.util.find_spec("piper")
    if found is None:
        raise ImportError("No module named 'piper'")
    # The package itself would import onnxruntime, 60 MB that phonemizing has no use for.
    package = types.ModuleType("piper")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["piper"] = package
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415  # as above

    clusters = {tuple(cluster) for cluster in vowel_clusters} or None
    return partial(EspeakPhonemizer().phonemize, voice, vowel_clusters=clusters)


def phonemizer(voice: str, library: str, data: str) -> Phonemize:
    """One text of phonemes and marks, as the phonemizer package makes it.

    Args:
        voice: as espeak-ng calls it.
        library: where espeak-ng is.
        data: where its voices are.
    """
    # It is imported for several jobs at once, which are never asked for: 18 MB and 0.1 s.
    sys.modules["joblib"] = types.ModuleType("joblib")
    from phonemizer.backend import EspeakBackend  # noqa: PLC0415
    from phonemizer.backend.espeak import api  # noqa: PLC0415
    from phonemizer.backend.espeak.wrapper import EspeakWrapper  # noqa: PLC0415

    EspeakWrapper.set_library(library)
    EspeakWrapper.set_data_path(data)
    # Words of another language are common and not worth the warnings it gives for each.
    logger = logging.getLogger("phonemizer")
    logger.setLevel(logging.ERROR)
    # It loads copies of the library, so that several can be used at once. Here one is, for which links do:
    # where a server is shut in well, nothing in a temporary directory may be executed.
    vars(api)["shutil"] = types.SimpleNamespace(copy=_linked, rmtree=shutil.rmtree)
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        backend = EspeakBackend(
            voice,
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
            logger=logger,
        )
    return lambda text: "\n".join(backend.phonemize([text]))


def _linked(library: Path, to: Path, *, follow_symlinks: bool) -> None:  # noqa: ARG001  # as `copy` is called
    to.symlink_to(library)


_PACKAGES: Final[Mapping[str, Callable[..., Phonemize]]] = {"piper": piper, "phonemizer": phonemizer}


def _serve(requests: BinaryIO, out: BinaryIO, phonemize: Phonemize) -> None:
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        text = requests.read(*REQUEST.unpack(header)).decode()
        # A hang is as good as a crash, and ends like one.
        signal.alarm(RENDER_SECONDS)
        content = json.dumps(_result(phonemize, text)).encode()
        signal.alarm(0)
        send(out, ANSWER.pack(0, len(content)) + content)


def _result(phonemize: Phonemize, text: str) -> dict[str, Any]:
    try:
        return {"phonemes": phonemize(text)}
    except Exception as error:  # noqa: BLE001  # whatever it is, the server is to tell it
        return {"error": str(error) or type(error).__name__}


def main(package: str, arguments: str) -> None:
    """Serve standard input until it ends.

    Args:
        package: `piper` or `phonemizer`.
        arguments: of the function of that name, as JSON.
    """
    # The library prints complaints; they must not get between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        phonemize = _PACKAGES[package](**json.loads(arguments))
        phonemize("")
    except Exception as error:  # noqa: BLE001  # whatever it is, the server is to tell it
        _greet(out, {"error": str(error) or type(error).__name__})
        return
    _greet(out, {})
    _serve(sys.stdin.buffer, out, phonemize)


def _greet(out: BinaryIO, said: dict[str, str]) -> None:
    content = json.dumps(said).encode()
    send(out, LENGTH.pack(len(content)) + content)
