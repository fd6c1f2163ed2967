"""Download of voices: from HTTP ranges to voices that are installed when a client requests them.

From the bottom up: `hub` is the HTTP client, `transfer` receives one file, `downloads` whole voices,
concurrently. On top, `pending` lets requests wait for one voice, `on_demand` downloads what clients request
and is missing, `service` what a user starts by hand, and `progress` displays it on a terminal or in the log.
"""
