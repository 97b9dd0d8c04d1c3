"""Processes: supervisor, collector, producer. They carry decisions out and join the siblings."""
