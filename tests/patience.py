"""How long tests wait for what must come."""

PATIENCE_S = 90.0
"""Only a broken test waits as long; far above what a busy machine needs. A test that waits for
several such things ends at the suite's own bound."""
