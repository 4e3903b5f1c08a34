"""Private environments: virtual environments with the old packages that some models' published code needs."""
