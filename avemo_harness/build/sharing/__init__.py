"""What has to be known and made before a release is shared."""
