"""How much of what producers generate is wasted, by who is told what and when, in virtual time.

The same simulated models, seeds and catalogs for every mode: `independent` (nobody is told),
`star` (a central process hands out the list at the start of each call and hears the results at
its end), the mesh told by call and by line, the levers added one at a time, then all. Counted is
the truth by catalog: an alias and what is off topic are waste. The limit line is the same run with
the collisions between concurrent calls taken out of the duplicates.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.virtual_bench import report_on
from bench.virtual_options import parse_options
from bench.virtual_tables import DUPLICATE_COLUMNS


def main() -> None:
    report_on("duplicate_rate", parse_options(__doc__ or ""), DUPLICATE_COLUMNS)


if __name__ == "__main__":
    main()
