"""Hostile input: real frames, changed where it hurts, against everything that reads them."""
