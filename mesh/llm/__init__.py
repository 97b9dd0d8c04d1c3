"""Real LLM providers: how they are asked, what they answer, what they cost."""
