"""Demonstration of replicas: three servers behind HAProxy, scene by scene.

`cluster` runs the servers, the proxy and the cache, and parses the proxy's log; `listeners` generates load
and records every request; `placement` shows who is sent where, `losses` what is lost when a server goes;
`report` prints what was measured and counts broken promises; `demonstration` is the command line.
"""
