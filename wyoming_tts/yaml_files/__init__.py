"""YAML files that people edit.

`models` says what a file may hold, `reading` names the line of each problem, `editing` keeps the comments.
"""
