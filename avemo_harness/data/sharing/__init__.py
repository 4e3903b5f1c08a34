"""Sharing a release on the Hub."""
