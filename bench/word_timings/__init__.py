"""How exactly words are timed, against a speech recognizer's word times and where sound begins."""
