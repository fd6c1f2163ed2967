"""YAML files that people edit: `reading` names the line of each problem, `editing` keeps the comments."""
