"""A client of strangers reads the simulator. In an environment of its own; pytest does not collect it."""
