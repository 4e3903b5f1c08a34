"""A run as one HTML file: figures with their intervals, and every turn to look at and to listen to."""
