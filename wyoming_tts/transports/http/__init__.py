"""The HTTP server and API.

`app` composes the API from `speech_routes` and `voice_routes`, and `server` runs it. `speech_request` parses
a speech request and `speech_response` answers it. Around every request lie `request_lifecycle` (ids,
timeouts, shutdown), `guard` with `access_rules`, `cross_origin`, `guard_request` and `login` (access
control), and `ingress` (Home Assistant's proxy). `errors` turns failures into responses. The web page, whose
`page_files` are made once, is mounted by `page_mount` behind `page_filter`, with `plain_pages` until it is
ready. `precomputed_routes` spares the first request their compilation.
"""
