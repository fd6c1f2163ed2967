"""Child process that phonemizes for the neural voices: a text in, its phonemes out.

Piper and Kokoro turn text into phonemes with libespeak-ng, which crashes on texts that no filter can
foresee (`engines/espeak/process.py` says which); in the server that would end every stream. The packages'
own phonemizers run here, so that not a symbol changes.

Started by `engines/phonemizer/client.py`; one process phonemizes for one voice, with one package. By the
protocol of `engines/child/protocol.py` a request is a text, its answer JSON: `{"phonemes"}` or `{"error"}`.
Unlike espeak's process it does not fork for each text: phonemizing takes 0.3 ms, and ten times that in a
fork, which copies every page it touches. A crash ends the process, and another is started.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from wyoming_tts.engines.child.protocol import ServerPipe, time_limit

Phonemize = Callable[[str], Any]


def piper(voice: str, vowel_clusters: Iterable[Iterable[str]]) -> Phonemize:
    """The piper package's phonemizer, which returns sentences, each a list of phonemes.

    Args:
        voice: espeak-ng's name of it.
        vowel_clusters: sequences of vowels that are one phoneme.
    """
    found = importlib.util.find_spec("piper")
    if found is None:
        raise ImportError("No module named 'piper'")
    # The package's own __init__ would import onnxruntime: 60 MB that phonemizing has no use for.
    package = types.ModuleType("piper")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["piper"] = package
    from piper import espeakbridge  # noqa: PLC0415
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415  # as above

    phonemizer = EspeakPhonemizer()
    espeakbridge.set_voice(voice)
    # It would be set again for each text: 3 ms in Russian, ten times what phonemizing takes.
    vars(espeakbridge)["set_voice"] = lambda _: None
    clusters = {tuple(cluster) for cluster in vowel_clusters} or None
    return partial(phonemizer.phonemize, voice, vowel_clusters=clusters)


def phonemizer(voice: str, library: str, data: str) -> Phonemize:
    """The phonemizer package's espeak backend, which returns phonemes and punctuation as one text.

    Args:
        voice: espeak-ng's name of it.
        library: path of libespeak-ng.
        data: path of its data.
    """
    # The package imports it to run several jobs at once, which is not needed here: 18 MB and 0.1 s.
    sys.modules["joblib"] = types.ModuleType("joblib")
    from phonemizer.backend import EspeakBackend  # noqa: PLC0415
    from phonemizer.backend.espeak import api  # noqa: PLC0415
    from phonemizer.backend.espeak.wrapper import EspeakWrapper  # noqa: PLC0415

    EspeakWrapper.set_library(library)
    EspeakWrapper.set_data_path(data)
    # Words of another language are common: a warning for each would be noise.
    logger = logging.getLogger("phonemizer")
    logger.setLevel(logging.ERROR)
    # It loads copies of the library, to use several at once. For the one here a link does, and works where
    # a hardened system lets nothing in a temporary directory be executed.
    vars(api)["shutil"] = types.SimpleNamespace(copy=_link, rmtree=shutil.rmtree)
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        backend = EspeakBackend(
            voice,
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
            logger=logger,
        )
    return lambda text: "\n".join(backend.phonemize([text]))


def _link(library: Path, to: Path, *, follow_symlinks: bool) -> None:  # noqa: ARG001  # as `copy` is called
    to.symlink_to(library)


_PACKAGES: Final[Mapping[str, Callable[..., Phonemize]]] = {"piper": piper, "phonemizer": phonemizer}


def _answer(phonemize: Phonemize, text: str) -> dict[str, Any]:
    try:
        return {"phonemes": phonemize(text)}
    except Exception as error:  # noqa: BLE001  # whatever it is, the server reports it
        return {"error": str(error) or type(error).__name__}


def main(package: str, arguments: str) -> None:
    """Serve standard input until it ends.

    Args:
        package: `piper` or `phonemizer`.
        arguments: of the function of that name, as JSON.
    """
    server = ServerPipe()
    try:
        phonemize = _PACKAGES[package](**json.loads(arguments))
        phonemize("")
    except Exception as error:  # noqa: BLE001  # whatever it is, the server reports it
        server.greet({"error": str(error) or type(error).__name__})
        return
    server.greet({})
    for text in server.requests():
        with time_limit():
            answer = json.dumps(_answer(phonemize, text.decode())).encode()
        server.answer(answer)
