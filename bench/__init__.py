"""Comparisons and demonstrations with real server processes; run by `script/bench` and `script/show-…`.

`comparison` measures this server beside wyoming-piper and writes docs/benchmarks.md, `failover` kills servers
behind HAProxy under load. `latency_breakdown` times the stages of the first audio, `voice_scenarios` runs the
tests' scenarios of downloads, copies and deletions in a terminal, `screenshots` takes the documentation's
pictures of the page; `page_tasks`, `page_pictures` and `page_visits` measure it. `scheduling_simulator` runs
the scheduler and admission on invented machines, in virtual time, `fleet_simulator` many servers behind a
balancer (docs/scaling.md), and `word_timings` compares when words are told to sound with when they are heard.
What they share with tests is in `tests.scenarios`.
"""
