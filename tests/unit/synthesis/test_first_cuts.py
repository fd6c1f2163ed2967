"""Where a first sentence is cut: by its voice, by whether the text is known, by the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.support.parts import running_parts, settings_for_tests
from tests.support.wyoming_client import WyomingTestClient
from wyoming_tts.assembly.options import synthesis_options
from wyoming_tts.assembly.parts import Parts, assemble, make_workers
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.speech import Prosody, Utterance, UtteranceRecord, Voice
from wyoming_tts.synthesis import Synthesizer
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.wyoming.server import WyomingServer

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


@dataclass
class Speaker:
    """Synthesizers with one set of parts, whose voice is to be cut as a test says."""

    parts: Parts
    cut: FirstCut = FirstCut.AFTER_CLAUSE
    asked: list[Prosody] = field(default_factory=list)
    """How the voice was to speak, each time it was asked where to be cut."""

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `ModelCache.first_cut`."""
        self.asked.append(prosody)
        return self.cut

    async def segments(self, utterance: Utterance, cut: FirstCut, **settings: object) -> list[str]:
        """The segments of an utterance."""
        self.cut = cut
        synthesizer = Synthesizer(
            library=self.parts.library,
            loaded=self.parts.loaded,
            workers=self.parts.workers,
            admission=self.parts.admission,
            cache=self.parts.cache,
            options=synthesis_options(settings_for_tests(**settings)),
        )
        return [*(await synthesizer.explain(utterance)).segments]


@pytest.fixture
async def speaker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Speaker]:
    async with running_parts() as parts:
        speaker = Speaker(parts)
        monkeypatch.setattr(parts.loaded, "first_cut", speaker.first_cut)
        yield speaker


async def test_a_voice_that_waits_for_its_segments_is_cut_after_eight_words(speaker: Speaker) -> None:
    assert await speaker.segments(Utterance.of(LONG), FirstCut.AFTER_WORDS) == [EIGHT_WORDS, OTHERS]


async def test_other_voices_are_cut_after_a_clause_but_never_after_words(speaker: Speaker) -> None:
    for cut in (FirstCut.AFTER_CLAUSE, FirstCut.WHILE_ARRIVING):
        assert await speaker.segments(await arriving(LONG), cut) == [LONG]
        assert await speaker.segments(await arriving(TWO_CLAUSES), cut) == [CLAUSE, REST]
    assert await speaker.segments(Utterance.of(TWO_CLAUSES), FirstCut.AFTER_CLAUSE) == [CLAUSE, REST]


async def test_a_known_sentence_stays_whole_where_its_voice_needs_no_cut(speaker: Speaker) -> None:
    assert await speaker.segments(Utterance.of(TWO_CLAUSES), FirstCut.WHILE_ARRIVING) == [TWO_CLAUSES]


async def test_boundaries_that_were_set_are_used_all_the_same(speaker: Speaker) -> None:
    cut = FirstCut.WHILE_ARRIVING
    whole = Utterance.of(TWO_CLAUSES)
    assert await speaker.segments(whole, cut, first_segment_boundaries=",") == [CLAUSE, REST]
    assert await speaker.segments(Utterance.of(LONG), cut, first_segment_max_words=8) == [EIGHT_WORDS, OTHERS]
    assert await speaker.segments(Utterance.of(TWO_CLAUSES), cut, first_segment_max_words=0) == [TWO_CLAUSES]


async def test_over_a_socket_the_text_of_a_plain_request_is_known_and_that_of_a_stream_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ModelCache, "first_cut", lambda *_: FirstCut.WHILE_ARRIVING)
    records: list[UtteranceRecord] = []
    settings = settings_for_tests()
    workers = make_workers(settings)
    async with assemble(settings, workers, on_record=records.append) as parts:
        server = WyomingServer(
            parts.synthesizer, describe=lambda: b"", run_blocking=workers.run_blocking, options=None
        )
        async with server:
            await server.start("tcp://127.0.0.1:0")
            async with WyomingTestClient.connect(*server.bound[0]) as client:
                await client.send(Synthesize(TWO_CLAUSES).event())
                await client.until("audio-stop")
                pieces = (SynthesizeStart(), SynthesizeChunk(TWO_CLAUSES), SynthesizeStop())
                await client.send(*(piece.event() for piece in pieces))
                await client.until("synthesize-stopped")
    assert await workers.close()
    assert [record.segments for record in records] == [1, 2]


async def test_a_voice_is_asked_for_the_speed_at_which_it_will_speak(speaker: Speaker) -> None:
    utterance = Utterance.of(LONG, prosody=Prosody(speed=1.5))
    await speaker.segments(utterance, FirstCut.AFTER_WORDS, speed=2.0)
    assert [prosody.speed for prosody in speaker.asked] == [3.0]
