"""Blends: Kokoro voices mixed by weight, their recipes, and the file that keeps them.

`recipes` parses `af_bella(2)+af_sky`, `mixing` computes a blend's style table, `yaml_format` and `store` keep
named blends on the disk, and `voices` makes blends speak like any other voice.
"""
