"""The realtime WebSocket: `route` accepts clients, `connection` serves one.

`protocol` parses what clients send, `server_messages` builds what they are sent.
"""
