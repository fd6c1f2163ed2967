"""The Stream tab: a load test with real Wyoming clients against this server or another one.

`service` admits runs, one per browser session, and serves what is kept of them; `run` has the clients of one
run speak at the same time; `client` records what happens to one of them; `request` validates what is asked,
and `targets` of which server it may be asked.
"""
