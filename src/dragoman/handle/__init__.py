"""One supervised server: when it starts, how it comes back, how much is asked of it at once."""
