"""Assembly: the composition root, where settings become parts.

`options` and `http_options` map settings to the options of each part, `parts` makes the parts and connects
them, `default_voice` warms up and changes the default voice, `embedding` opens all of it in one call for
programs and commands that need no server. Below this package nothing knows the settings. Nothing is
re-exported: `http_options` imports what Wyoming alone does not need.
"""
