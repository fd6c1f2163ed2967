"""A loaded voice that makes no sound: for tests of what is done with models, not of what they say."""

from __future__ import annotations

from collections.abc import Generator

from wyoming_tts.speech import Prosody, Samples, Segment, VoiceSpec


class SilentVoice:
    """All of `LoadedVoice` but `close`, which each test has its own meaning of."""

    shares_cores = True

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """As `LoadedVoice.render`."""
        del segment, spec, prosody
        yield from ()

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """As `LoadedVoice.phonemes`."""
        del spec
        return segment.text

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """As `LoadedVoice.calibration_segment`."""
        del spec
        return Segment("1")
