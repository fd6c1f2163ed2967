"""The realtime WebSocket: `route` accepts clients, `connection` serves one, `protocol` parses messages."""
