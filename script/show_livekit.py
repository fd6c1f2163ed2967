"""Demonstration of LiveKit's agents with this server, in their environment: run by script/show-livekit.

LiveKit's OpenAI plugin speaks through a server that the script starts: whole texts in each format, a
language model's words through LiveKit's sentence tokenizer, an interruption, errors, and a voice that is
late. Each check that passes prints a line; the first failure ends the run.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from itertools import pairwise

from agent_server import LATE_SECONDS, LATE_VOICE, AgentServer, CheckFailed, arguments, hold, running_server
from livekit.agents import APIConnectOptions, APIStatusError, tokenize, tts
from livekit.plugins import openai
from wyoming_livekit_tts import make_tts

TEXT = "It is 25 degrees in Dr. Moore's garden. Three birds sing. Shall I open the window for you?"
LONG = "The river runs through the valley, and the valley lies in the evening light. " * 400
PATIENCE = 2.0
"""Of a person on the telephone, as set below."""
ONCE = APIConnectOptions(max_retry=0)
RATE = 24_000
DECODED = 0.25
"""Seconds by which decoders may differ."""
SHORTEST = 4
"""Seconds that the text takes at least."""
ANYTHING = 0.5
"""Seconds of audio at most in place of nothing."""
IN_TIME = 3
"""Seconds within which something has to be heard."""
PAUSE = 1.5
"""Seconds between two frames at most, on a busy machine."""


async def main() -> None:
    """Run the demonstration."""
    asked = arguments(__doc__)
    async with running_server(asked, "--patience", str(PATIENCE)) as server, asyncio.timeout(180):
        await _show_formats(server, asked.voice)
        await _show_sentences(server, asked.voice)
        await _show_interruption(server, asked.voice)
        await _show_nothing_to_speak(server, asked.voice)
        await _show_errors(server)
        await _show_late_voice(server)


async def _show_formats(server: AgentServer, voice: str) -> None:
    print("A whole text, in each format, as events and as audio:", flush=True)
    usual = 0.0
    for model in ("tts-1", "gpt-4o-mini-tts"):
        for name in ("pcm", "wav", "mp3", "opus", "flac", "aac"):
            async with openai.TTS(
                model=model, voice=voice, base_url=server.api, api_key="none", response_format=name
            ) as speech:
                frame = await speech.synthesize(TEXT, conn_options=ONCE).collect()
            usual = usual or frame.duration
            hold(
                abs(frame.duration - usual) < DECODED and frame.sample_rate == RATE,
                f"{model}, {name}: {frame.duration:.2f} s at {frame.sample_rate} Hz",
                f"expected {usual:.2f} s",
            )


async def _show_sentences(server: AgentServer, voice: str) -> None:
    print("A language model's words, sentence by sentence:", flush=True)
    async with make_tts(voice=voice, base_url=server.api) as speech:
        adapter = tts.StreamAdapter(tts=speech, sentence_tokenizer=tokenize.blingfire.SentenceTokenizer())
        async with adapter.stream() as stream:
            begun, first, seconds = time.monotonic(), 0.0, 0.0
            writing = asyncio.create_task(_write(stream, TEXT))
            async for audio in stream:
                first = first or time.monotonic() - begun
                seconds += audio.frame.duration
            written = await writing
    hold(seconds > SHORTEST, f"all of it is spoken: {seconds:.2f} s")
    hold(
        first < written - begun,
        f"the first audio comes after {first:.2f} s, while the rest is written",
        first,
    )
    hold(await server.is_idle(within=2), "no utterance is left on the server")


async def _write(stream: tts.SynthesizeStream, text: str) -> float:
    for word in re.findall(r"\s*\S+", text):
        stream.push_text(word)
        await asyncio.sleep(0.1)
    stream.end_input()
    return time.monotonic()


async def _show_interruption(server: AgentServer, voice: str) -> None:
    print("An interruption in the middle of a long text:", flush=True)
    async with make_tts(voice=voice, base_url=server.api) as speech:
        for wrapped in (False, True):
            if wrapped:
                stream = tts.StreamAdapter(tts=speech).stream()
                stream.push_text(LONG)
                stream.end_input()
            else:
                stream = speech.synthesize(LONG, conn_options=ONCE)
            async with aclosing(stream):
                await anext(stream)
                hold(await server.streams() == 1, "it is being spoken")
            how = "through the StreamAdapter" if wrapped else "of a request"
            hold(await server.is_idle(within=3), f"{how}: no utterance is left on the server")


async def _show_nothing_to_speak(server: AgentServer, voice: str) -> None:
    print("A sentence of which nothing is spoken:", flush=True)
    async with make_tts(voice=voice, base_url=server.api) as speech:
        frame = await speech.synthesize("\N{GRINNING FACE}", conn_options=ONCE).collect()
    hold(0 < frame.duration < ANYTHING, f"is no failure, which LiveKit would repeat: {frame.duration:.2f} s")


async def _show_errors(server: AgentServer) -> None:
    print("Errors:", flush=True)
    async with make_tts(voice="nobody", base_url=server.api) as speech:
        try:
            await speech.synthesize("Hello.", conn_options=ONCE).collect()
        except APIStatusError as error:
            hold(
                "nobody" in str(error.message),
                f"an unknown voice is status {error.status_code}: {error.message}",
            )
        else:
            raise CheckFailed("An unknown voice is no error.")


async def _show_late_voice(server: AgentServer) -> None:
    print(f"A voice whose audio comes after {LATE_SECONDS:g} s:", flush=True)
    async with make_tts(voice=LATE_VOICE, base_url=server.api) as speech:
        begun, arrivals = time.monotonic(), []
        seconds = 0.0
        async with speech.synthesize("Hello.", conn_options=ONCE) as stream:
            async for audio in stream:
                arrivals.append(time.monotonic() - begun)
                seconds += audio.frame.duration
    hold(arrivals[0] < IN_TIME, f"the first frame comes after {arrivals[0]:.2f} s")
    pauses = [later - earlier for earlier, later in pairwise(arrivals)]
    hold(max(pauses) < PAUSE, f"and none later than {max(pauses):.2f} s after another")
    hold(seconds > LATE_SECONDS - PATIENCE, f"until its speech is there: {seconds:.2f} s in all")


if __name__ == "__main__":
    asyncio.run(main())
