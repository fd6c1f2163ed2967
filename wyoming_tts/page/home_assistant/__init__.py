"""Home Assistant as the add-on reaches it: its players speak a sentence, its assistants take a voice.

`supervisor` is how the add-on may reach it, `connection` its WebSocket API, `service` what the page does with
that, for its administrators alone, and `routes` the HTTP routes.
"""
