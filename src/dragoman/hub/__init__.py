"""The hub: many servers behind one waist. What it tells others goes over the bus of events."""
