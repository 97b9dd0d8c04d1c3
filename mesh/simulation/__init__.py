"""The offline LLM server: simulated models behind both providers' wire formats, over HTTP.

It reads prompts as text and shares no decision with the mesh: names, aliases and truth are its
own catalogs', so that it cannot agree with the rest by construction. The server is server.py, the
topics it knows catalog.py, the models' figures models.py.
"""
