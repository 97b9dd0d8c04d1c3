"""The producer: a node that finds entries by calling LLMs."""
