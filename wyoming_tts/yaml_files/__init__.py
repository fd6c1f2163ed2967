"""YAML files that people edit: read with the line of each mistake, edited in place with comments kept."""
