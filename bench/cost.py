"""What 100 distinct entries cost in tokens and dollars, mode by mode, in virtual time.

The runs are those of duplicate_rate.py. Dollars are charged by four tables: all models as
gpt-4o-mini, as claude-haiku-4-5, as gpt-4o, and each as its own. `paid input` weighs input tokens
by their price against uncached ones; `x output` is what was paid against its output alone,
`x floor` against the output of the distinct entries alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.virtual_bench import report_on
from bench.virtual_options import parse_options
from bench.virtual_tables import COST_COLUMNS


def main() -> None:
    report_on("cost", parse_options(__doc__ or ""), COST_COLUMNS)


if __name__ == "__main__":
    main()
