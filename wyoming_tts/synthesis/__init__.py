"""Synthesis: the one path from a request to sound.

    text as it arrives -> segments -> steps of the engine on the workers -> gain, limiter, int16

Every transport says `async with synthesizer.speak(utterance) as stream:` and iterates. Where the machine
keeps up, a stream does nothing ahead of its consumer (backpressure): asking for the next chunk is the credit
that lets the next step run. Where it does not, the first audio is held until the rest will arrive in time.
Leaving the block cancels the rest, within one step.

`synthesizer` drives the stages. `job` is the state of one utterance, `utterance_voices` are the voices that
it leases and `loudness` their gains. `rendering` makes a segment's PCM, with the speed of `prosody` and the
rate of `resampling`. `costs` learns what speech takes to compute, `backlog` is what is left of a stream by
that, and `playout` holds its audio back as long as needed. `prefetch` runs one stage ahead of the next.
`options` are the defaults of every utterance, `explanation` is what each stage made of one.
"""

from wyoming_tts.synthesis.costs import CostModel
from wyoming_tts.synthesis.explanation import Explanation
from wyoming_tts.synthesis.options import SynthesisOptions
from wyoming_tts.synthesis.synthesizer import SpeechStream, Synthesizer

__all__ = ["CostModel", "Explanation", "SpeechStream", "SynthesisOptions", "Synthesizer"]
