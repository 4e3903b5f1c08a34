"""Recognises the emotion of a whole recording from sound, face or both: one of the benchmark's labels."""
