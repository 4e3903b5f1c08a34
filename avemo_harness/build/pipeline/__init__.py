"""Making a release in stages: utterances are written, spoken, animated, and packaged."""
