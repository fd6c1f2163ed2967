"""This server beside others on the same machine and the same voice; `script/bench` runs it."""
