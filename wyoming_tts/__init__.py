"""A local text-to-speech server that speaks while the text is still arriving."""

import os

__version__ = "0.1.0"

# ONNX Runtime would report to its maker unless this is set before its import. Nothing leaves the house.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
