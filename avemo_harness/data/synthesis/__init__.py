"""Synthetic voice, face and demo release."""
