"""Topic Mesh: a crowd of LLMs lists everything there is on a topic.

Layers, each importing only what stands below it (checked by import-linter):

    cli          commands and options -> settings -> a supervisor
    nodes        supervisor, collector, producer: carry decisions out, join the siblings below
    llm | simulation | storage | web | transport      I/O, one kind each, strangers to one another
    wire         messages and frames as bytes, with their limits
    core         decisions: no clock, socket, file or global randomness
    config       settings as frozen values
"""

__version__ = "0.5.0"
