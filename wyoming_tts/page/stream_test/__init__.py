"""The Stream tab: a load test with real clients against this server or another one.

`service` admits runs, one per browser session, and serves what is kept of them; `run` has the clients of one
run speak at the same time, each by the client that `speakers` has for its protocol (`web_clients` over HTTP).
`client` records what happens to one of them, and `gaps` finds whose fault its gaps are. `request` validates
what is asked, and `targets` of which server it may be asked.
"""
