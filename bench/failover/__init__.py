"""Failover demonstration: three servers behind HAProxy under load, of which one is killed and one is stopped.

`cluster` runs the servers and the proxy and parses the proxy's log, `listeners` generates the load and
records every request, `demonstration` is the command line and checks what is promised.
"""
