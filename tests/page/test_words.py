"""The page's texts: every language has all of them, none is missing or unused, and every failure has one."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
import yaml

from ui import scripts
from ui.chunks import with_imports
from ui.layout import tab_label
from ui.words import LANGUAGES, Words, read_messages, read_texts
from wyoming_tts.errors import ErrorCode
from wyoming_tts.page.home_assistant.problems import HomeAssistantProblem, Problem
from wyoming_tts.voices.download.downloads import FailureCause

_PLACEHOLDER = re.compile(r"\{\w+\}")
_OF_TOKENS = {code for code in ErrorCode if code.startswith("token_")} | {ErrorCode.VOICE_NOT_ALLOWED}
"""The page uses no token."""


ROOTS = {
    "audition": ("audition", "home_assistant"),
    "player": ("player_bar",),
    "blend": ("blending",),
    "stream_live": ("stream_live",),
    "stream_test": ("stream_test", "stream_lanes"),
    "voices": ("voices", "lexicon"),
    "status": ("status",),
    "problem": ("problems",),
    "names": ("voice_names",),
    "downloads": ("download_list",),
}
"""The scripts that get the texts of a section; what they import uses them too."""
MODULES = {"player": "player_bar", "blend": "blending"}
"""The module of a section's markup, where it has another name."""
COMPUTED = {
    "audition": r"shelf_\w+|blind_(a|b|equal)|pitch|(length|noise|noise_w)_scale|\w+_short",
    "player": r"is_\w+",
    "blend": r"kokoro_\w+|kind_\w+|preset\.\w+",
    "stream_live": r"(was|first_after)_\w+",
    "stream_test": r"(state|what|row|example|lane|kind)\.\w+|side(_b)?|told_\w+",
    "voices": r"\w+_what|quality|state",
    "status": r"level_\w+|source_\w+|state_\w+|ready|starting|done|cancelled|failed",
    "problem": r"(code|download)_\w+",
    "names": r"quality_\w+|female|male|preset\.\w+",
    "downloads": r"\w+_what",
}
"""Names that scripts put together, or take from values of the server."""
_USED = re.compile(r"""\btranslate\(\s*"([\w.]+)"|\bdata-(?:text|label|placeholder)="([\w.]+)\"""")


def sources_of(section: str) -> dict[str, str]:
    """Everything that may use the texts of a section, by name."""
    of_others = {"problems", "voice_names", "download_list", "stream_lanes"} - set(ROOTS[section])
    modules = set(with_imports(scripts.sources(), ROOTS[section])) - of_others
    found = {name: scripts.sources()[name] for name in modules}
    markup = files("ui").joinpath(f"{MODULES.get(section, section)}.py")
    return found | ({"markup": markup.read_text("utf-8")} if markup.is_file() else {})


def test_every_section_has_its_scripts_and_every_script_with_texts_its_section() -> None:
    assert {name.partition(".")[0] for name in read_texts("en")} == {"page", *ROOTS}
    known = {name for section in ROOTS for name in sources_of(section)}
    using = {name for name, source in scripts.sources().items() if _USED.search(source)}
    assert using - known == set()


@pytest.mark.parametrize("section", ROOTS)
def test_every_text_that_is_used_exists(section: str) -> None:
    texts = read_texts("en")
    used = {
        (source, name)
        for source, code in sources_of(section).items()
        for found in _USED.findall(code)
        for name in found
        if name
    }
    assert used
    known = {f"{section}.{name}" for _, name in used} & set(texts)
    assert {each for each in used if f"{section}.{each[1]}" not in known} <= {
        ("player_bar", "title")
    }  # page's


@pytest.mark.parametrize("section", ROOTS)
def test_every_text_is_used(section: str) -> None:
    code = "\n".join(sources_of(section).values())
    mentioned = set(re.findall(r"""["']([\w.]+)["']|\b(\w+):""", code))
    names = {name for pair in mentioned for name in pair if name}
    texts = {name.removeprefix(f"{section}.") for name in read_texts("en") if name.startswith(f"{section}.")}
    assert {name for name in texts - names if not re.fullmatch(COMPUTED[section], name)} == set()


def test_french_signs_stay_in_the_line_of_their_word() -> None:
    for texts in (read_texts("fr"), read_messages("fr")):
        assert [text for text in texts.values() if re.search(r" [:;?!»]|« ", text)] == []
    assert read_texts("fr")["player.underruns"] == "coupures\N{NO-BREAK SPACE}: {count}"


def test_every_preset_is_described_in_english_as_in_its_file() -> None:
    presets = yaml.safe_load(files("voices").joinpath("blends.yaml").read_text("utf-8"))["blends"]
    described = {f"blend.preset.{name}": preset["description"] for name, preset in presets.items()}
    texts = {name: text for name, text in read_texts("en").items() if name.startswith("blend.preset.")}
    assert texts == described


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_with_its_placeholders(language: str) -> None:
    texts = read_texts(language)
    assert set(texts) == set(read_texts("en"))
    assert all(texts.values())
    for name, english in read_texts("en").items():
        assert set(_PLACEHOLDER.findall(texts[name])) == set(_PLACEHOLDER.findall(english)), name


def test_a_missing_text_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"ui/words/en\.yaml"):
        Words().text("audition.no_such_text")
    with pytest.raises(KeyError, match=r"ui/words/en\.yaml"):
        tab_label(Words(), "page.no_such_text")


def test_every_cause_of_a_failed_download_has_a_text() -> None:
    texts = read_texts("en")
    for end in ("", "_do"):
        assert {cause for cause in FailureCause if f"problem.download_{cause}{end}" not in texts} == set()


def test_every_code_of_an_error_has_a_text() -> None:
    texts = read_texts("en")
    assert {code for code in ErrorCode if f"problem.code_{code}" not in texts} == _OF_TOKENS


def test_every_problem_with_home_assistant_has_a_text_and_in_english_the_servers_own() -> None:
    texts = read_texts("en")
    for problem in Problem:
        assert texts[f"problem.code_{problem}"] == HomeAssistantProblem(problem).message


TERMS = {
    "de": {
        "save": "speicher",
        "download": "herunter|download",
        "delete": "lösch",
        "default voice": "standard",
    },
    "fr": {"save": "enregistr", "download": "télécharg", "delete": "supprim", "default voice": "par défaut"},
}
"""One term for one meaning: what has to be in a translation where the English text has the word."""


@pytest.mark.parametrize("language", TERMS)
def test_a_meaning_has_one_term_in_each_language(language: str) -> None:
    english, translated = read_texts("en"), read_texts(language)
    strays = [
        f"{name}: {translated[name]}"
        for name, text in english.items()
        for word, term in TERMS[language].items()
        if re.search(rf"\b{word}", text, re.IGNORECASE)
        and not re.search(term, translated[name], re.IGNORECASE)
    ]
    assert strays == []
