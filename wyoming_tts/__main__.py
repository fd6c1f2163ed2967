"""`python -m wyoming_tts` is the command `wyoming-tts`."""

from __future__ import annotations

from wyoming_tts.commands.cli import run

if __name__ == "__main__":
    run()
