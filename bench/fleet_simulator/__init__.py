"""Discrete-event simulation of a fleet: replicas with the real scheduler and admission behind a balancer.

`python -m bench.fleet_simulator --replicas 4 --listeners 100` or `--table law`

A replica is the server of `scheduling_simulator`: the product's own `Synthesizer`, `Scheduler`, `Admission`,
`ModelCache` and `SegmentCache` in virtual time. In a large fleet only a sample of the replicas is that,
spread evenly; of the others there is what a balancer sees (`replicas.EstimatedReplica`). Figures are those of
the sample's listeners.

`traffic` is who comes and when, `balancing` who serves them, `fleet` runs both with what happens to replicas
(kills, drains, the rule of `autoscaling`), `figures` counts what was heard, `cases` are the tables of
docs/scaling.md. Costs come from `costs.yaml`, as `measure` measured them.
"""
