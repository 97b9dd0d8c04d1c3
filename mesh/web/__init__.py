"""The live page, its JSON and its WebSocket, served by whoever holds a run (interface.py).

`server.PageServer` is the way in; everything else here is its parts. Nothing in this package knows
how a run works: it reads a `RunView` and passes wishes on to it.
"""
