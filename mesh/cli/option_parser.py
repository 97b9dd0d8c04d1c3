"""A parser of option words that says what is wrong as everything here does: by UsageError.

What options there are is options.py's and mesh_options.py's.
"""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from mesh.cli.commands import UsageError
from mesh.cli.config_file import OptionNames


class OptionParser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of printing its usage and exiting."""

    def __init__(self, program: str, usage: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=program,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            # An abbreviation would change its meaning with every new option.
            allow_abbrev=False,
            add_help=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "))

    def given(self, words: list[str]) -> dict[str, Any]:
        """What `words` say, by field; what they do not say is absent.

        Raises:
            UsageError: an unknown option, a wrong value, a word too many.
        """
        found, rest = self.parse_known_args(words)
        if rest:
            raise UsageError(self._not_understood(rest[0]))
        return vars(found)

    def option_names(self) -> OptionNames:
        """What a config file may set."""
        # Options of the same action share its kind: a value is taken or it is not.
        actions = {
            name.removeprefix("--"): action
            for name, action in self._option_string_actions.items()
            if name.startswith("--") and not name.startswith("--no-")
        }
        meta = {"help", "version", "config"}
        flags = {name for name, action in actions.items() if action.nargs == 0} - meta
        return OptionNames(with_value=set(actions) - flags - meta, flags=flags)

    def _not_understood(self, word: str) -> str:
        if not word.startswith("-"):
            return f"one word too many: '{word}'; put a topic of several words in quotes"
        name = word.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f"unknown option {name}" + (f": did you mean {near[0]}?" if near else "")


OptionGroup = argparse._ActionsContainer  # noqa: SLF001 what parsers and groups of options share


def add_help(group: OptionGroup) -> None:
    group.add_argument("-h", "--help", action="help", help="show this and exit")
