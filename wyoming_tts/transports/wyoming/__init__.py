"""The Wyoming server: `server` accepts clients, `connection` serves one, `protocol` interprets its events.

`stream` is the byte stream of one client; `wyoming_framing` turns events into bytes and back.
"""
