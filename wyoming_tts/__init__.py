"""A local text-to-speech server that speaks while the text is still arriving."""

__version__ = "0.1.0"
