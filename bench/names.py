"""How well names are known again: pairs of a file, each kind by itself.

    python bench/names.py ../shared/data/names_dev.tsv

All names of the file stand in one list among other names (cities of the world), as they would in a
run. A pair counts as what the pipeline says of it: what its blocking never proposes is different,
whatever a comparison would have said; such pairs are counted beside.

With `--semantic` the names nearest by an embedding model are proposed too, and their nearness is
part of what is said. With `--judge` the simulator's judge is asked about every second name of a
pair that is in doubt, as in a run about a newcomer, with all candidates that are in doubt for it.

Precision: of the pairs said to be the same, those that are. Recall: of those that are, those said
to be; `or unsure` counts what is put before a judge or a person as found.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.name_judge import SimulatedJudge
from bench.name_pairs import Pair, other_names, read_pairs
from bench.name_vectors import Neighbours, neighbours_by_model
from bench.reporting import Report
from mesh.core.names.comparing import Comparison, Verdict, compare
from mesh.core.names.nearness import by_neighbour
from mesh.core.names.words import Name, parsed
from mesh.core.normalize import clean_text
from mesh.core.resolve import Resolution, Resolver

AMONG = 10_000


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair and what came of it."""

    pair: Pair
    comparison: Comparison
    """By itself."""
    proposed: bool
    judged: Verdict | None = None
    """What the judge said of it, if it was asked."""

    @property
    def verdict(self) -> Verdict:
        if self.judged is not None:
            return self.judged
        return self.comparison.verdict if self.proposed else Verdict.DIFFERENT


def main() -> None:
    options = _options()
    try:
        pairs = read_pairs(options.file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"names: {error}") from None
    names = _names_of(pairs, other_names(options.among))
    neighbours = Neighbours()
    if options.semantic:
        newcomers = [_clean(pair[1]) for pair in pairs]
        neighbours = neighbours_by_model(names, newcomers, options.embedder)
    judge = SimulatedJudge(options.seed) if options.judge else None
    judged = judged_pairs(pairs, names, neighbours, judge)
    report = Report(
        "names",
        {
            "file": options.file.name,
            "among": options.among,
            "semantic": options.semantic,
            "judge": options.judge,
            "seed": options.seed,
        },
    )
    figures = _figures(judged)
    for kind, counts in figures["by_kind"].items():
        for verdict, count in counts.items():
            report.add(f"{kind}_{verdict}_count", count)
    for name in ("precision", "recall", "f1", "recall_or_unsure"):
        report.add(f"{name}_ratio", figures[name])
    report.add("different_unsure_ratio", figures["different_unsure"])
    report.add("never_proposed_count", figures["never_proposed"])
    report.add("wrongly_same_count", figures["wrongly_same"])
    if judge is not None:
        report.add("questions_count", judge.question_count)
    if options.semantic:
        report.add("embedding_names_per_s", len(names) / neighbours.embedding_s)
        report.add("vector_entry_bytes", neighbours.entry_bytes)
    for each in judged:
        if each.verdict not in options.show:
            continue
        one, other, same, kind = each.pair
        truth = "same" if same else "different"
        missed = "" if each.proposed else " (never proposed)"
        print(f"{kind}, {truth}: {one} | {other}: {each.comparison.reason}{missed}")
    report.print(as_json=options.json, also=figures)


def judged_pairs(
    pairs: Sequence[Pair],
    names: Sequence[str],
    neighbours: Neighbours,
    judge: SimulatedJudge | None,
) -> list[Judged]:
    """Each pair, its second name come to a list of all other `names`."""
    resolver = Resolver()
    numbers = {text: resolver.add(text, Resolution()) for text in names}
    judged = []
    for pair in pairs:
        earlier, new = (parsed(_clean(text)) for text in pair[:2])
        near = neighbours.of(new.text)
        nearness = by_neighbour(near, resolver.group).get(numbers[earlier.text])
        comparison = compare(new, earlier, resolver.rarity, nearness)
        is_proposed = nearness is not None or _is_blocked(new, earlier, resolver, numbers)
        said = None
        if judge is not None and is_proposed and _is_judged(comparison):
            doubts = resolver.resolve(new.text, near).doubts
            candidates = [resolver.text(doubt.number) for doubt in doubts]
            if earlier.text in candidates:
                is_same = judge.same_as(new.text, candidates) == earlier.text
                said = Verdict.SAME if is_same else Verdict.DIFFERENT
        judged.append(Judged(pair, comparison, is_proposed, said))
    return judged


def _is_judged(comparison: Comparison) -> bool:
    """Whether a run puts it before a judge: what vectors alone make one, too."""
    return comparison.verdict is Verdict.UNSURE or comparison.by_meaning


def _is_blocked(one: Name, other: Name, resolver: Resolver, numbers: dict[str, int]) -> bool:
    return one.key == other.key or any(
        numbers[second.text] == proposal.number
        for first, second in ((one, other), (other, one))
        for proposal in resolver.index.proposed(first, resolver.rarity)
    )


def _names_of(pairs: Sequence[Pair], others: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*others, *(_clean(text) for pair in pairs for text in pair[:2])]))


def _clean(text: str) -> str:
    cleaned = clean_text(text)
    if cleaned is None:
        raise SystemExit(f"names: {text!r} cannot be an entry")
    return cleaned


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    by_kind: dict[str, Counter[str]] = {}
    for each in judged:
        by_kind.setdefault(each.pair[3], Counter())[each.verdict.value] += 1
    said = [each for each in judged if each.verdict is Verdict.SAME]
    true = [each for each in judged if each.pair[2]]
    false = [each for each in judged if not each.pair[2]]
    right = sum(each.pair[2] for each in said)
    precision, recall = right / max(1, len(said)), right / max(1, len(true))
    return {
        "by_kind": {
            kind: {verdict.value: counts[verdict.value] for verdict in Verdict}
            for kind, counts in by_kind.items()
        },
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "recall_or_unsure": sum(each.verdict is not Verdict.DIFFERENT for each in true)
        / max(1, len(true)),
        "different_unsure": sum(each.verdict is Verdict.UNSURE for each in false)
        / max(1, len(false)),
        "wrongly_same": len(said) - right,
        "never_proposed": sum(not each.proposed for each in true),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE.tsv", help="a, b, same, kind, with tabs")
    parser.add_argument("--among", type=int, default=AMONG, help=f"other names ({AMONG:,})")
    parser.add_argument(
        "--show", type=Verdict, action="append", default=[], help="print pairs said to be so"
    )
    parser.add_argument("--semantic", action="store_true", help="with sentence embeddings")
    parser.add_argument("--embedder", metavar="SPEC", help="a model's path, or NAME@URL")
    parser.add_argument("--judge", action="store_true", help="ask the simulator's judge in doubt")
    parser.add_argument("--seed", type=int, default=0, help="of the judge's mistakes")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
