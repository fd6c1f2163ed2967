"""What importing the page leaves behind in its process."""

from __future__ import annotations

import os
import subprocess
import sys


def test_the_page_does_not_take_the_server_offline() -> None:
    asked = "import os, ui; print(os.environ.get('HF_HUB_OFFLINE'), os.environ['GRADIO_ANALYTICS_ENABLED'])"
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", asked],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert told.stdout.split() == ["None", "False"]
