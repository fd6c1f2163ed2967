"""The one path from a request to sound.

    text as it arrives -> segments -> steps of the engine on the workers -> level, limiter, int16

Every transport says `async with synthesizer.speak(utterance) as stream:` and iterates. The stream
does nothing ahead of its consumer: asking for the next chunk is the credit that lets the next step
run. Leaving the block cancels what is left, within one step.
"""

from wyoming_tts.synthesis.explanation import Explanation
from wyoming_tts.synthesis.options import SynthesisOptions
from wyoming_tts.synthesis.synthesizer import SpeechStream, Synthesizer

__all__ = ["Explanation", "SpeechStream", "SynthesisOptions", "Synthesizer"]
