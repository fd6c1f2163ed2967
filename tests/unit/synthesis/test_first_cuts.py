"""Where a first sentence is cut: by its voice, by whether the text is known, by the settings."""

from __future__ import annotations

import pytest

from tests.support.parts import running_parts
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.speech import Prosody, Utterance, Voice
from wyoming_tts.text.feed import TextFeed

LONG = "The window above the old stairs has been standing open since the morning."
TWO_CLAUSES = "The heating is still running, and the window has been open since the morning."
CLAUSE, REST = "The heating is still running,", "and the window has been open since the morning."
EIGHT_WORDS, OTHERS = "The window above the old stairs has been", "standing open since the morning."


async def arriving(text: str) -> Utterance:
    """An utterance whose text is written by a client, as far as the server can tell."""
    feed = TextFeed()
    await feed.put(text)
    feed.close()
    return Utterance(feed)


async def segments(
    utterance: Utterance, cut: FirstCut, asked: list[Prosody] | None = None, **settings: object
) -> list[str]:
    """The segments of an utterance whose voice is to be cut there; `asked` gets how it was to speak."""

    def first_cut(_: ModelCache, voice: Voice, prosody: Prosody) -> FirstCut:
        if asked is not None:
            asked.append(prosody)
        return cut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelCache, "first_cut", first_cut)
        async with running_parts(**settings) as parts:
            explanation = await parts.synthesizer.explain(utterance)
    return list(explanation.segments)


async def test_a_voice_that_waits_for_its_segments_is_cut_after_eight_words() -> None:
    assert await segments(Utterance.of(LONG), FirstCut.AFTER_WORDS) == [EIGHT_WORDS, OTHERS]


async def test_other_voices_are_cut_after_a_clause_but_never_after_words() -> None:
    for cut in (FirstCut.AFTER_CLAUSE, FirstCut.WHILE_ARRIVING):
        assert await segments(await arriving(LONG), cut) == [LONG]
        assert await segments(await arriving(TWO_CLAUSES), cut) == [CLAUSE, REST]
    assert await segments(Utterance.of(TWO_CLAUSES), FirstCut.AFTER_CLAUSE) == [CLAUSE, REST]


async def test_a_known_sentence_stays_whole_where_its_voice_needs_no_cut() -> None:
    assert await segments(Utterance.of(TWO_CLAUSES), FirstCut.WHILE_ARRIVING) == [TWO_CLAUSES]


async def test_boundaries_that_were_set_are_used_all_the_same() -> None:
    cut = FirstCut.WHILE_ARRIVING
    whole = Utterance.of(TWO_CLAUSES)
    assert await segments(whole, cut, first_segment_boundaries=",") == [CLAUSE, REST]
    assert await segments(Utterance.of(LONG), cut, first_segment_max_words=8) == [EIGHT_WORDS, OTHERS]
    assert await segments(Utterance.of(TWO_CLAUSES), cut, first_segment_max_words=0) == [TWO_CLAUSES]


async def test_a_voice_is_asked_for_the_speed_at_which_it_will_speak() -> None:
    asked: list[Prosody] = []
    utterance = Utterance.of(LONG, prosody=Prosody(speed=1.5))
    await segments(utterance, FirstCut.AFTER_WORDS, asked, speed=2.0)
    assert [prosody.speed for prosody in asked] == [3.0]
