"""What can be wrong with a release: one file a check, each a function from a config to a finding."""
