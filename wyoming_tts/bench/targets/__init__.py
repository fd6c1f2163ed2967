"""Benchmark targets: a server under test, reached as a client of one protocol.

`target` is the interface and picks an implementation by the URI's scheme: `wyoming`, `http` (OpenAI's
speech endpoint) or `realtime` (the WebSocket). All of them build on `listener`, one timed request on one
connection. `skimmer` reads Wyoming events at little cost; `http_connection` is what `http` and `realtime`
share. This face stays empty, so that importing one module does not load the libraries of the others.
"""
