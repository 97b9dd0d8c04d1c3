"""Decisions, pure: state + event (+ now) -> effects. No clock, socket, file, global randomness."""
