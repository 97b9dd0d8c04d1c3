"""Start Topic Mesh from a checkout: `python run_mesh.py` is the command `topicmesh`.

Says what is missing in syntax that older Pythons read too. What to do is mesh/cli's.
"""

import importlib.util
import sys

PYTHON_NEEDED = (3, 11)
PACKAGES_NEEDED = (
    "aiohttp", "anthropic", "anyascii", "bitarray", "dotenv", "genai_prices", "mmh3", "msgspec",
    "openai", "nacl", "plotly", "prometheus_client", "rapidfuzz", "rich", "tenacity", "zmq",
)  # fmt: skip


def what_is_missing() -> "str | None":
    """One line that says what to do first; None when all is there."""
    if sys.version_info < PYTHON_NEEDED:
        found = ".".join(map(str, sys.version_info[:2]))
        return "Topic Mesh needs Python 3.11 or newer, and this is Python " + found
    missing = [name for name in PACKAGES_NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return (
            "missing packages (" + ", ".join(missing) + "): install them inside a virtual "
            "environment with: python -m pip install -e ."
        )
    return None


if __name__ == "__main__":
    message = what_is_missing()
    if message:
        sys.stderr.write(message + "\n")
        sys.exit(2)
    try:
        from mesh.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
