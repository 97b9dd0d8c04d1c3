"""Runs what a bench in virtual time was asked for and prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.reporting import Report
from bench.virtual_options import VirtualOptions
from bench.virtual_page import write_page
from bench.virtual_runs import run_all
from bench.virtual_tables import Column, Results, add_to_report, markdown


def report_on(bench: str, options: VirtualOptions, columns: Sequence[Column]) -> None:
    """Run the scenarios; print report, tables and JSON; write the page of plots."""
    report = Report(bench, _settings(options))
    results = Results(run_all(options.scenarios, options.processes))
    add_to_report(report, results, columns)
    if options.markdown:
        print(markdown(results, columns), end="\n\n")
    if options.html is not None:
        write_page(options.html, bench.replace("_", " "), report.settings, results)
    report.print(as_json=options.as_json)


def _settings(options: VirtualOptions) -> dict[str, Any]:
    scenarios = options.scenarios
    return {
        "seed": options.seed,
        "seeds": options.seed_count,
        "producers": sorted({each.producer_count for each in scenarios}),
        "models": list(scenarios[0].models),
        "runs": len(scenarios),
    }
