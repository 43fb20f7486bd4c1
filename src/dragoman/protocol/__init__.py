"""The protocol as values and decisions: no I/O, no clock, no ``async``. Whoever drives it lives in ``server/``."""
