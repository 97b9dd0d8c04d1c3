"""Processes: supervisor, collector, producer. They carry decisions out and join the siblings.

peer/         one node of the mesh, whatever it does with entries
producing/    a node that finds entries by calling LLMs
collecting/   the node that decides, stores and shows
supervising/  starting, keeping and ending the processes of one machine
"""
