"""Messages and frames as bytes: every message, its direction and units; the limits of both."""
