"""The server process: what is composed around the parts and kept running.

`app` starts and stops everything, `http_side` composes HTTP, `speech_service` is the server as HTTP sees it,
`access_policy` decides who may connect, `voice_upkeep` downloads and warms up voices, `reload` applies
changed settings. Nothing is re-exported, so that each module can be imported without the others.
"""
