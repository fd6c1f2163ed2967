"""Write the settings table of the README anew from the settings themselves."""

from __future__ import annotations

import re
from pathlib import Path

from wyoming_tts.settings import settings_table

README = Path(__file__).parents[1] / "README.md"


def main() -> None:
    """Replace what stands between the two marks."""
    marked = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)
    text = README.read_text("utf-8")
    README.write_text(marked.sub(lambda _: settings_table() + "\n", text), "utf-8")


if __name__ == "__main__":
    main()
