"""`say --explain`: every stage of text processing, for people and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

from tests.support.parts import settings_for_tests
from tests.support.tones import LETTERS, TONES, VOICES
from wyoming_tts.commands import cli, local_speech
from wyoming_tts.commands.explain import Explain, explain_json_lines, explain_text, explain_text_as_json
from wyoming_tts.errors import MalformedMarkup, UnknownVoice
from wyoming_tts.settings import Settings
from wyoming_tts.speech import TextFormat, VoiceRequest

KEYS = ["text", "voice", "cleaned", "spoken", "lexicon", "segments", "phonemes"]
ENGLISH = VoiceRequest("espeak-en-us")
PLAIN = TextFormat.PLAIN


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    lexicon = "en:\n  Siobhan: shivawn\n  HA: {ipa: həˈloʊ}\n"
    (tmp_path / "lexicon.yaml").write_text(lexicon, encoding="utf-8")
    return settings_for_tests(data_dir=[tmp_path, VOICES])


def here(settings: Settings) -> Explain:
    """Explains in this process."""
    return partial(local_speech.explain, settings)


@pytest.fixture
def stdin(blockbuster: BlockBuster) -> Iterator[Any]:
    """Replace the standard input of this process."""
    # The command line reads its own pipe, in a process that does nothing else.
    os_read = blockbuster.functions["os.read"].can_block_in("client/text_input.py", "_read_bytes")
    kept = os.dup(0)

    def feed(*lines: str) -> None:
        reading, writing = os.pipe()
        os.write(writing, "\n".join(lines).encode())
        os.close(writing)
        os.dup2(reading, 0)
        os.close(reading)

    yield feed
    os.dup2(kept, 0)
    os.close(kept)
    os_read.can_block_functions.pop()


def json_request(text: str, voice: str | None = None) -> str:
    return json.dumps({"text": text, "voice": voice} if voice else {"text": text}, ensure_ascii=False)


def parse_objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


# -- one text -----------------------------------------------------------------------------------


def test_a_text_is_explained_stage_by_stage(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    text = "**It is 25 °C**, Siobhan. Everyone is here."
    assert explain_text(here(settings), text, ENGLISH, PLAIN) == 0
    out = capsys.readouterr().out
    titles = [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert titles == ["voice", "cleaned", "spoken", "lexicon", "segments", "phonemes"]
    assert "cleaned:   It is 25 °C, Siobhan. Everyone is here.\n" in out
    assert "spoken:    It is twenty-five degrees Celsius, Siobhan. Everyone is here.\n" in out
    assert "lexicon:   Siobhan -> shivawn (lexicon.yaml:2)\n" in out
    assert "segments:  It is twenty-five degrees Celsius, shivawn.\n           Everyone is here.\n" in out


def test_a_text_without_anything_to_say_has_empty_stages(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain_text(here(settings), " ... ", ENGLISH, PLAIN) == 0
    assert "segments:  -\nphonemes:  -\n" in capsys.readouterr().out
    assert explain_text_as_json(here(settings), "", ENGLISH, PLAIN) == 0
    (output,) = parse_objects(capsys.readouterr().out)
    assert (output["segments"], output["phonemes"], output["lexicon"]) == ([], [], [])


@pytest.mark.slow
def test_the_json_object_has_exactly_the_documented_keys(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "It is 5 km to Siobhan. Everyone is here."
    assert explain_text_as_json(here(settings), text, ENGLISH, PLAIN) == 0
    (output,) = parse_objects(capsys.readouterr().out)
    assert list(output) == KEYS
    assert output["text"] == text
    assert output["voice"] == "espeak-en-us"
    assert output["cleaned"] == text
    assert output["spoken"] == "It is five kilometers to Siobhan. Everyone is here."
    assert output["segments"] == ["It is five kilometers to shivawn.", "Everyone is here."]
    (hit,) = output["lexicon"]
    assert (hit["written"], hit["said"], hit["file"], hit["line"]) == (
        "Siobhan",
        "shivawn",
        "lexicon.yaml",
        2,
    )
    assert [type(phonemes) for phonemes in output["phonemes"]] == [str, str]
    assert "kˈɪləmˌiɾɚz" in output["phonemes"][0] or "kɪlˈɑːmɪɾɚz" in output["phonemes"][0]


def test_lexicon_phonemes_appear_in_the_phonemes(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    explain_text_as_json(here(settings), "Say HA now.", ENGLISH, PLAIN)
    (output,) = parse_objects(capsys.readouterr().out)
    assert output["segments"] == ["Say [[həˈloʊ]] now."]
    assert "həlˈoʊ" in output["phonemes"][0]  # espeak-ng puts stress marks before vowels


def test_ssml_is_interpreted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    digits = "<say-as interpret-as='digits'>42</say-as>"
    text = f"<speak>Take {digits}. <voice name='espeak-de'>Ja 5 km.</voice></speak>"
    explain_text_as_json(here(settings), text, ENGLISH, TextFormat.SSML)
    (output,) = parse_objects(capsys.readouterr().out)
    assert output["segments"] == ["Take four two.", "Ja five kilometers."]
    assert output["phonemes"][1].startswith("jˈɑː")  # German pronunciation


def test_text_that_cannot_be_spoken_raises_an_error(settings: Settings) -> None:
    with pytest.raises(UnknownVoice, match="nobody"):
        explain_text(here(settings), "Hello.", VoiceRequest("nobody"), PLAIN)
    with pytest.raises(MalformedMarkup, match="line 1, column 15"):
        explain_text(here(settings), "<speak>Hello. </p>", ENGLISH, TextFormat.SSML)


@pytest.mark.slow
@pytest.mark.parametrize("voice", [LETTERS.name, TONES.name, "af_test", "espeak-en-us"])
def test_every_engine_reports_its_phonemes(
    settings: Settings, voice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    explain_text_as_json(here(settings), "Hello there. Everyone is here.", VoiceRequest(voice), PLAIN)
    (output,) = parse_objects(capsys.readouterr().out)
    assert output["voice"] == voice
    assert len(output["phonemes"]) == len(output["segments"]) == 2
    assert all(phonemes.strip() for phonemes in output["phonemes"])


# -- lines of JSON ------------------------------------------------------------------------------


def test_json_lines_are_answered_in_order(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(
        json_request("It is 5 km.", "espeak-en-us"),
        "",
        json_request("Es sind 5 km.", "espeak-de"),
        json_request("Okay."),
    )
    assert explain_json_lines(here(settings), VoiceRequest(), PLAIN) == 0
    output = parse_objects(capsys.readouterr().out)
    assert [list(each) for each in output] == [KEYS] * 3
    assert [each["voice"] for each in output] == ["espeak-en-us", "espeak-de", LETTERS.name]
    assert [each["spoken"] for each in output] == [
        "It is five kilometers.",
        "Es sind fünf Kilometer.",
        "Okay.",
    ]


BAD_LINES = [
    "no JSON",
    "{",
    "[]",
    '"text"',
    "5",
    "{}",
    '{"text": 5}',
    '{"text": null}',
    '{"text": "a", "voice": 5}',
    '{"text": "a", "voice": ["x"]}',
    "[" * 2000,
    json_request("Hello.", "nobody"),
]


def test_an_invalid_line_is_reported_and_the_rest_answered(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for bad in BAD_LINES for line in (bad, json_request("It is 5 km."))]
    stdin(*lines)
    assert explain_json_lines(here(settings), ENGLISH, PLAIN) == 1
    output = parse_objects(capsys.readouterr().out)
    assert [list(each) for each in output] == [["text", "error"], KEYS] * len(BAD_LINES)
    assert all(each["error"] for each in output[::2])
    assert all(each["spoken"] == "It is five kilometers." for each in output[1::2])


def test_malformed_ssml_in_a_line_is_reported_with_its_position(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(json_request("<speak>Hello.</b></speak>"), json_request("<speak>Hello.</speak>"))
    assert explain_json_lines(here(settings), ENGLISH, TextFormat.SSML) == 1
    bad, good = parse_objects(capsys.readouterr().out)
    assert "line 1, column 14" in bad["error"]
    assert good["segments"] == ["Hello."]


def test_non_ascii_characters_are_written_unescaped(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(json_request("Größe 你好"))
    explain_json_lines(here(settings), ENGLISH, PLAIN)
    assert "Größe 你好" in capsys.readouterr().out


def test_a_lone_surrogate_does_not_stop_the_remaining_lines(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin('{"text": "\\ud800Hello."}', '{"text": "\\ud800", "voice": "nobody"}', json_request("Hello."))
    assert explain_json_lines(here(settings), ENGLISH, PLAIN) == 1
    output = parse_objects(capsys.readouterr().out)
    assert [list(each) for each in output] == [KEYS, ["text", "error"], KEYS]
    assert output[0]["text"] == "\ud800Hello."
    assert output[0]["segments"] == ["Hello."]


def test_empty_input_is_not_an_error(
    settings: Settings, stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin("")
    assert explain_json_lines(here(settings), ENGLISH, PLAIN) == 0
    assert capsys.readouterr().out == ""


# -- the command line ---------------------------------------------------------------------------

FLAGS = ("--offline", "--voice", "espeak-en-us", "--data-dir", str(VOICES))


def test_the_explain_flag_prints_the_stages_instead_of_speaking(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", *FLAGS, "--explain", "It is 5 km."]) == 0
    assert "spoken:    It is five kilometers.\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--json"], ["--explain", "--json"]])
def test_the_json_flag_prints_one_object(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", *FLAGS, *flags, "It is 5 km."]) == 0
    (output,) = parse_objects(capsys.readouterr().out)
    assert list(output) == KEYS


def test_the_ssml_flag_interprets_the_text_as_ssml(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", *FLAGS, "--json", "--ssml", "<speak>Hello <b>you</b>.</speak>"]) == 0
    (output,) = parse_objects(capsys.readouterr().out)
    assert output["segments"] == ["Hello you."]


def test_an_error_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", *FLAGS, "--explain", "--ssml", "<speak>Hello.</b></speak>"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "line 1, column 14" in output.err
    assert len(output.err.splitlines()) == 1


def run_say(*arguments: str, given: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS_")}
    return subprocess.run(
        [sys.executable, "-m", "wyoming_tts", "say", *FLAGS, *arguments],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environ | variables,
        check=False,
    )


@pytest.mark.slow
def test_the_process_reads_json_lines_and_exits_with_1_after_an_invalid_one() -> None:
    lines = [json_request("It is 25 °C."), "bad", json_request("Es sind 5 km.", "espeak-de")]
    done = run_say("--explain", "--json", given="\n".join(lines) + "\n")
    output = parse_objects(done.stdout)
    assert done.returncode == 1, done.stderr
    assert [list(each) for each in output] == [KEYS, ["text", "error"], KEYS]
    assert output[0]["segments"] == ["It is twenty-five degrees Celsius."]
    assert output[2]["voice"] == "espeak-de"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_output_encoding_without_ipa_gets_escapes() -> None:
    done = run_say("--json", given=json_request("Hello 你好."), PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    (output,) = parse_objects(done.stdout)
    assert output["text"] == "Hello 你好."
