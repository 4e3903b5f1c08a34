"""The shipped task YAMLs: a folder a split."""
