"""The rating study: people hear the replies of several systems and rate them, without knowing whose they are."""
