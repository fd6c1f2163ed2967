"""Benchmark of this server against wyoming-piper, on one machine and with one voice.

`compare` is the command line. `harness` starts the servers and loads one at a time; `performance` (latency,
throughput, start), `robustness` (slow readers, disconnects, overload) and `kokoro` are the measured sections,
`results` their rows, `report` the page docs/benchmarks.md. `server_process` runs and samples a server,
`machine` describes the hardware and the versions.
"""
