"""Rating studies: people hear the replies of several systems and rate them blind."""
