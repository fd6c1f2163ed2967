"""Allowed voices: whether an access token covers the voice that would speak.

Patterns are compared with the voice's own name, since a client may write a voice in many ways: by an alias,
by the beginning of its name, as a blend. What is listed literally may also be the name that the client asks
for.
"""

from __future__ import annotations

import re
from functools import lru_cache

from wyoming_tts.errors import VoiceNotAllowed
from wyoming_tts.messages import Message
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.voices.names import fold_case, shorten_name

_ANY_PART = "[^+,*()]*"
"""What `*` stands for: no part of a blend's recipe, so that `af_*` does not let `af_bella+am_adam` in."""


def check_is_allowed(voice: str, request: VoiceRequest) -> None:
    """Check that a voice, found for a request, is one that may speak.

    Raises:
        VoiceNotAllowed: it is none of them.
    """
    allowed = request.allowed
    if not allowed or fold_case(request.name or "") in map(fold_case, allowed):
        return
    if any(_pattern(each).fullmatch(fold_case(voice)) for each in allowed):
        return
    raise VoiceNotAllowed(
        Message(
            "token_not_for_voice",
            "The token does not allow the voice {name}.",
            name=repr(shorten_name(request.name or voice)),
        ),
        hint=Message("ask_for_allowed", "Ask for one that it names, or have the token made for this voice."),
    )


@lru_cache(maxsize=1024)
def _pattern(allowed: str) -> re.Pattern[str]:
    literals = map(re.escape, re.split(r"\*+", fold_case(allowed)))
    return re.compile(_ANY_PART.join(literals))
