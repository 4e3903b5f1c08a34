"""Build a release in stages: dialogues are written, spoken, animated and packaged."""
