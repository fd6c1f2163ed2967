"""Remote engine: voices of other servers, over HTTP (OpenAI's API) or the Wyoming protocol.

`engine` lists them and probes the servers, `pool` chooses a server and fails over, `splice` joins what two
servers spoke of a segment. `http` and `wyoming` are the two clients, `lists` parses lists of voices, `pcm`
decodes audio. `told_words` takes the words that a server tells, `word_estimate` times those of a server that
tells none.
"""
