"""The virtual benches' results side by side: Markdown tables, and the lines of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.reporting import Report
from bench.virtual_figures import Spread, figures, spreads
from bench.virtual_runs import Result

Group = tuple[str, str, int]
"""Variation, topic, producers: within one the modes are compared."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a table."""

    figure: str
    heading: str
    form: str
    """Format of a number, after `:`."""
    scale: float = 1.0


DUPLICATE_COLUMNS = (
    Column("duplicate_ratio", "duplicates %", ".1f", 100),
    Column("limit_ratio", "limit line %", ".1f", 100),
    Column("listed_ratio", "listed repeated %", ".1f", 100),
    Column("stray_ratio", "strays %", ".1f", 100),
    Column("untold_ratio", "untold %", ".1f", 100),
    Column("collision_ratio", "collisions %", ".1f", 100),
    Column("again_ratio", "said twice %", ".1f", 100),
    Column("off_topic_ratio", "off topic %", ".1f", 100),
    Column("unique_a_minute_count", "unique a minute", ",.0f"),
    Column("calls_count", "calls", ".0f"),
    Column("found_of_known_ratio", "found of known %", ".1f", 100),
)
COST_COLUMNS = (
    Column("input_tokens_per_100_count", "input", ",.0f"),
    Column("cached_tokens_per_100_count", "cached", ",.0f"),
    Column("output_tokens_per_100_count", "output", ",.0f"),
    Column("cached_share_ratio", "cacheable read %", ".0f", 100),
    Column("cached_share_of_told_before_ratio", "of it told before, read %", ".0f", 100),
    Column("gpt_4o_mini_weighted_input_per_100_count", "paid input, gpt-4o-mini", ",.0f"),
    Column("claude_haiku_4_5_weighted_input_per_100_count", "paid input, haiku-4-5", ",.0f"),
    Column("gpt_4o_mini_per_100_usd", "m$ gpt-4o-mini", ".3f", 1000),
    Column("claude_haiku_4_5_per_100_usd", "m$ haiku-4-5", ".2f", 1000),
    Column("gpt_4o_per_100_usd", "m$ gpt-4o", ".2f", 1000),
    Column("own_per_100_usd", "m$ own", ".2f", 1000),
    Column("gpt_4o_mini_to_output_ratio", "x output, gpt-4o-mini", ".2f"),
    Column("claude_haiku_4_5_to_output_ratio", "x output, haiku-4-5", ".2f"),
    Column("gpt_4o_mini_to_floor_ratio", "x floor, gpt-4o-mini", ".2f"),
)


class Results:
    """Results by group, count and mode, figures over the seeds."""

    def __init__(self, results: Iterable[Result]) -> None:
        runs: dict[tuple[Group, int, str], list[dict[str, float]]] = defaultdict(list)
        self.results = list(results)
        for result in self.results:
            group = _group(result)
            for count, standing in result.standings.items():
                key = (group, count if result.scenario.counts else 0, result.scenario.mode)
                runs[key].append(figures(standing) | _found_at_the_end(result))
        self._spreads = {key: spreads(each) for key, each in runs.items()}

    def sections(self) -> list[tuple[Group, int]]:
        """Group and count of each table; count 0: the end of a run that ended by itself."""
        return list(dict.fromkeys((group, count) for group, count, _ in self._spreads))

    def sides(self, group: Group, count: int) -> Mapping[str, Mapping[str, Spread]]:
        """Mode -> its figures."""
        return {
            mode: each
            for (of, at, mode), each in self._spreads.items()
            if (of, at) == (group, count)
        }

    def of(self, group: Group) -> list[Result]:
        """The group's runs."""
        return [each for each in self.results if _group(each) == group]


def markdown(results: Results, columns: Sequence[Column]) -> str:
    """A table for each section: medians, the range over the seeds where a column stands alone."""
    return "\n\n".join(
        _table(results, group, count, columns) for group, count in results.sections()
    )


def add_to_report(report: Report, results: Results, columns: Sequence[Column]) -> None:
    """The same figures, each side's under its own name."""
    for (variation, topic, producer_count), count in results.sections():
        for mode, side in results.sides((variation, topic, producer_count), count).items():
            place = f"{_word(topic)}_{producer_count}_{mode}_{count or 'end'}"
            if variation != "as_packaged":
                place = f"{variation}_{place}"
            for column in columns:
                if column.figure in side:
                    report.add(f"{place}_{column.figure}", *side[column.figure].samples)


def _table(results: Results, group: Group, count: int, columns: Sequence[Column]) -> str:
    variation, topic, producer_count = group
    sides = results.sides(group, count)
    columns = [each for each in columns if any(each.figure in side for side in sides.values())]
    at = f"{count:,} unique" if count else "the end"
    lines = [
        f"**{topic}, {producer_count} producers, at {at}, models {variation}**",
        "",
        "| mode | " + " | ".join(column.heading for column in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for mode, side in sides.items():
        cells = [cell(side.get(column.figure), column) for column in columns]
        reached = len(side["duplicate_ratio"].samples)
        runs = sum(each.scenario.mode == mode for each in results.of(group))
        missing = "" if reached == runs else f" ({reached} of {runs} runs got there)"
        lines.append(f"| {mode}{missing} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(spread: Spread | None, column: Column) -> str:
    """The median; from three seeds on with the range over them."""
    if spread is None:
        return "-"
    shown = format(spread.median * column.scale, column.form)
    if len(spread.samples) < 3:
        return shown
    low, high = (format(each * column.scale, column.form) for each in _range(spread))
    return f"{shown} ({low} .. {high})"


def _found_at_the_end(result: Result) -> dict[str, float]:
    """Of what the models know together, for a run that ended by itself."""
    if result.scenario.counts:
        return {}
    return {"found_of_known_ratio": result.distinct_count / result.known_together_count}


def _range(spread: Spread) -> tuple[float, float]:
    return min(spread.samples), max(spread.samples)


def _group(result: Result) -> Group:
    scenario = result.scenario
    return scenario.variation.name, scenario.topic, scenario.producer_count


def _word(topic: str) -> str:
    return topic.split()[0].lower()
