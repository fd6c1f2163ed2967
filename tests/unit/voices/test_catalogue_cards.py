"""Metadata from upstream model cards that voices/update.py adds to the index."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest

from tests.support.fake_hub import FakeHub
from tests.unit.voices.test_catalogue import UPDATE, as_index, updated, write_catalogue
from wyoming_tts.voices.catalogue import CatalogueVoice, read_piper_catalogue

CARD = """\
# Model card for lessac (medium)

* Language: en_US (English, United States)
* Speakers: 1
* Quality: medium
* Samplerate: {rate}Hz

## Dataset

* URL: https://example.org/data
* License:{licence}

## Training

Trained from scratch.
"""


def three_voices(directory: Path) -> list[CatalogueVoice]:
    voices = read_piper_catalogue(UPDATE.with_name("piper.yaml"))[:3]
    write_catalogue(directory, as_index(voices))
    return list(voices)


def write_card(directory: Path, voice: CatalogueVoice, card: str) -> None:
    path = (directory / "cards" / voice.files[0].path).with_name("MODEL_CARD")
    path.parent.mkdir(parents=True)
    path.write_text(card, encoding="utf-8")


def updated_voices(directory: Path, *arguments: str) -> list[CatalogueVoice]:
    output = directory / "piper.yaml"
    updated([str(directory / "voices.json"), "--output", str(output), *arguments])
    return list(read_piper_catalogue(output))


def test_model_cards_provide_licences_and_sample_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voices = three_voices(tmp_path)
    write_card(tmp_path, voices[0], CARD.format(rate="44,100", licence=" CC BY 4.0: see there "))
    write_card(tmp_path, voices[1], CARD.format(rate="22,050", licence="  See URL"))
    first, second, third = updated_voices(tmp_path, "--cards", str(tmp_path / "cards"))
    assert (first.licence, first.sample_rate) == ("CC BY 4.0: see there", 44_100)
    assert (second.licence, second.sample_rate) == ("see https://example.org/data", 22_050)
    assert (third.licence, third.sample_rate) == (None, voices[2].sample_rate)
    assert "3 voices, 2 with a licence" in capsys.readouterr().out


@pytest.mark.parametrize("card", ["", "License of ours", CARD.format(rate="", licence=" "), "License:\nCC0"])
def test_a_model_card_without_a_licence_gives_none(tmp_path: Path, card: str) -> None:
    voices = three_voices(tmp_path)
    write_card(tmp_path, voices[0], card)
    first, *_ = updated_voices(tmp_path, "--cards", str(tmp_path / "cards"))
    assert (first.licence, first.sample_rate) == (None, voices[0].sample_rate)


def test_licences_are_kept_when_only_the_index_is_updated(tmp_path: Path) -> None:
    voices = three_voices(tmp_path)
    write_card(tmp_path, voices[0], CARD.format(rate="8,000", licence=" CC0"))
    before = updated_voices(tmp_path, "--cards", str(tmp_path / "cards"))
    assert updated_voices(tmp_path) == before
    assert before[0].licence == "CC0"


async def test_model_cards_are_downloaded_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    voices = await asyncio.to_thread(three_voices, tmp_path)
    async with FakeHub() as hub:
        card = PurePosixPath(voices[0].files[0].path).with_name("MODEL_CARD")
        hub.files[f"/base/{card}"] = CARD.format(rate="22,050", licence=" CC0").encode()
        found = await asyncio.to_thread(updated_voices, tmp_path, "--cards", f"{hub.url}/base")
    assert [voice.licence for voice in found] == ["CC0", None, None]
