"""Transports: the network interfaces that clients connect to, above the synthesizer and below the server.

* `wyoming`: the Wyoming protocol over TCP, Unix sockets and standard input and output;
* `http`: the OpenAI-compatible API, its access control, and the mount of the web page;
* `realtime`: the WebSocket, a route of the HTTP app.

They do not import each other. What they share lies beside them: `interfaces` (of the speech service),
`backpressure` (waiting for slow clients), `request_queue` (the unanswered requests of a connection),
`audio_frames` (audio into messages), `access` (rules of access control), `listening` (addresses and sockets)
and `discovery` (zeroconf).
"""
