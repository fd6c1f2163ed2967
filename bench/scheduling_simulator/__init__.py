"""Discrete-event simulation of scheduling and admission: the real synthesizer on an invented machine.

`python -m bench.scheduling_simulator [--scenario alone] [--policy "at once"] [--plot FILE.svg]`

Everything that decides is the product's own code: `Synthesizer`, `Scheduler`, `Admission`, `Workers`, the
segmenter. Invented are the time (`virtual_time`), the machine and its threads (`machine`), the voices
(`voices`), what they speak (`texts`) and to whom (`workload`). So an hour of load takes seconds, and the same
seed gives the same figures everywhere.

`scenarios` are what is simulated and `simulation` runs one of them. `listening` is what one listener heard:
gaps, and the start against the clairvoyant optimum. `report` prints and draws the figures of all.
"""
