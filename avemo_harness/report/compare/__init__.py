"""Paired comparison: of runs on the same items, and of conditions within one run on the same turns."""
