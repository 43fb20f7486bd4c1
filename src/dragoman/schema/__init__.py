"""JSON Schema work: pure, and imported only when a schema has to be looked at."""
