"""Settings of the group Text: what of a text is spoken, and in which words."""

from __future__ import annotations

from functools import partial
from typing import Literal

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting

_setting = partial(setting, Group.TEXT)


class TextSettings(SettingsGroup):
    """Fields under the heading Text."""

    markdown: bool = _setting(True, "Interpret Markdown; off reads asterisks and hashes aloud.")
    code_blocks: Literal["skip", "announce", "read"] = _setting(
        "skip",
        "Fenced code: `skip` leaves it out, `announce` says `code_block_notice`, `read` reads it.",
    )
    code_block_notice: str = _setting(
        "Code is left out.", "Text spoken in place of a code block that is announced."
    )
    emoji: Literal["drop", "name"] = _setting(
        "drop", "Emoji: `drop` leaves them out, `name` speaks their names."
    )
    spoken_forms: bool = _setting(
        True,
        "Say units, times, dates, amounts, addresses and the like in words, in every language of the "
        "catalogues.",
    )
    scripts: Literal["switch", "skip", "spell"] = _setting(
        "switch",
        "Words in a script that the voice's language is not written in, such as `Привет` in an English text: "
        "`switch` to a voice of their language, the embedded one if no other is installed, `skip` them, or "
        "`spell` their letters.",
    )
    voice_tags: bool = _setting(
        False,
        "Interpret `[voice:NAME]`, `[lang:CODE]`, `[rate:0.8]` and `[pause:1s]` in plain text as tags. "
        "Over HTTP `[pause:1s]` is one in any case.",
    )
