"""Phonemes over HTTP: those of a text, and speech from them, with real phonemizers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import Served, serving
from tests.support.parts import running_parts
from tests.support.tones import LETTERS
from wyoming_tts.ipa import is_ipa
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.errors import InvalidField
from wyoming_tts.transports.http.phoneme_routes import PhonemesBody

PHONEMIZE, GENERATE = "/dev/phonemize", "/dev/generate_from_phonemes"
TEXT, SPOKEN = "Hello, world! It costs $5.", "həlˈoʊ, wˈɜːld! ɪt kˈɔsts fˈaɪv dˈɑːlɚz."
AMERICAN, KOKORO = "en_US-tone-low", "af_test"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with running_parts() as parts, serving(service=ServerSpeechService(parts)) as running:  # type: ignore[arg-type]
        yield running


async def phonemize(server: Served, **fields: Any) -> httpx.Response:
    return await server.client.post(PHONEMIZE, json={"text": TEXT, **fields})


async def speak(server: Served, path: str, **fields: Any) -> bytes:
    answer = await server.client.post(path, json={"response_format": "wav", **fields})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("voice", [KOKORO, AMERICAN])
async def test_a_text_has_the_phonemes_that_its_voice_would_speak(server: Served, voice: str) -> None:
    answer = await phonemize(server, voice=voice)
    assert answer.json() == {"phonemes": SPOKEN, "tokens": []}


async def test_without_a_voice_the_language_chooses_one(server: Served) -> None:
    tags = [await phonemize(server, language=tag, text="5 °C") for tag in ("de", "f", "fr-fr")]
    german, french, same = (answer.json()["phonemes"] for answer in tags)
    assert german.startswith("fˈʏnf ɡrˈɑːt")
    assert french.startswith("sˈɛ̃k dəɡʁˈe")
    assert french == same


async def test_a_recipe_speaks_the_language_that_is_asked_for_and_a_voice_its_own(server: Served) -> None:
    recipe = f"{KOKORO}(2)+am_test"
    french, voice = [
        (await phonemize(server, voice=voice, language="fr", text="5 °C")).json()["phonemes"]
        for voice in (recipe, KOKORO)
    ]
    assert french.startswith("sˈɛ̃k dəɡʁˈe")
    assert voice.startswith("fˈaɪv")
    english, heard, same = [
        await speak(server, "/v1/audio/speech", input="5 °C", voice=recipe, **language)
        for language in ({}, {"language": "fr_FR"}, {"lang_code": "f"})
    ]
    assert english != heard == same


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"text": ""}, 400, "text"),
        ({"text": " "}, 400, "text"),
        ({"text": "a" * 10_001}, 413, "text"),
        ({"language": "xx"}, 404, "language"),
        ({"voice": "nobody"}, 404, "voice"),
    ],
)
async def test_a_text_without_phonemes_is_an_error(
    server: Served, fields: dict[str, Any], status: int, param: str
) -> None:
    answer = await phonemize(server, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize("voice", [KOKORO, AMERICAN])
async def test_the_phonemes_of_a_text_sound_as_the_text_does(server: Served, voice: str) -> None:
    phonemes = (await phonemize(server, voice=voice, text="It costs $5.")).json()["phonemes"]
    spoken = await speak(server, GENERATE, phonemes=phonemes, voice=voice)
    assert spoken == await speak(server, "/v1/audio/speech", input="It costs $5.", voice=voice)


async def test_sentences_of_phonemes_are_spoken_one_after_the_other(server: Served) -> None:
    spoken = await speak(server, GENERATE, phonemes=SPOKEN, voice=KOKORO)
    assert spoken == await speak(server, "/v1/audio/speech", input=TEXT, voice=KOKORO)


async def test_the_answer_is_a_wav_unless_another_format_is_asked_for(server: Served) -> None:
    default = await server.client.post(GENERATE, json={"phonemes": SPOKEN, "voice": KOKORO})
    mp3 = await server.client.post(GENERATE, json={"phonemes": SPOKEN, "response_format": "mp3"})
    assert (default.headers["content-type"], mp3.headers["content-type"]) == ("audio/wav", "audio/mpeg")


@pytest.mark.parametrize("phonemes", ["", "5", "h*llo", "日本", "<speak>", "ə" * 401, "{}", "hə\x00"])
async def test_what_is_no_phoneme_is_an_error(server: Served, phonemes: str) -> None:
    answer = await server.client.post(GENERATE, json={"phonemes": phonemes, "voice": LETTERS.name})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "phonemes")


async def test_too_many_phonemes_are_an_error_that_names_the_field() -> None:
    async with serving(HttpOptions(max_text_chars=10)) as served:
        answer = await served.client.post(GENERATE, json={"phonemes": "ə " * 20})
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "phonemes")


@pytest.mark.parametrize(
    ("phonemes", "ssml"),
    [
        ("həlˈoʊ", "<s>[[həlˈoʊ]]</s>"),
        ("həlˈoʊ, dɒ; dɒ", "<s>[[həlˈoʊ]], [[dɒ]]; [[dɒ]]</s>"),
        ("həlˈoʊ! dɒ", "<s>[[həlˈoʊ]]!</s> <s>[[dɒ]]</s>"),
        ("dɒ—dɒ", "<s>[[dɒ]]— [[dɒ]]</s>"),
        ("“dɒ” (dɒ) ¿dɒ?", "<s>[[dɒ dɒ dɒ]]?</s>"),
        ("tˈɛn.sən dɒː", "<s>[[tˈɛn.sən dɒː]]</s>"),
        ("hˈO wˈWld", "<s>[[hˈoʊ wˈaʊld]]</s>"),
    ],
)
def test_punctuation_stands_between_blocks_of_phonemes(phonemes: str, ssml: str) -> None:
    body = PhonemesBody.model_validate({"phonemes": phonemes}).speech()
    assert sentences(body.input) == ssml
    assert body.input_type == "ssml"


def sentences(document: str) -> str:
    return document.removeprefix("<speak>").removesuffix("</speak>").removesuffix("<s></s>").strip()


@given(st.text(alphabet="həlˈoʊ ,.!?;:—…“”()[]<>&-5AW\n", min_size=1, max_size=900))
def test_phonemes_make_blocks_that_are_phonemes_or_an_error(phonemes: str) -> None:
    try:
        document = PhonemesBody.model_validate({"phonemes": phonemes}).speech().input
    except InvalidField:
        return
    blocks = document.split("[[")[1:]
    assert all(is_ipa(block.split("]]")[0]) for block in blocks)
    assert set(re.findall("<[^>]*>|[<>&]", document)) <= {"<speak>", "</speak>", "<s>", "</s>"}
