"""`python -m wyoming_tts` is the command `wyoming-tts`."""

from __future__ import annotations

import sys

from wyoming_tts.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
