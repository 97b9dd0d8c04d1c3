"""The bench of limits runs as documented."""

from __future__ import annotations

from pathlib import Path

from bench.rate_limits import PRODUCERS, REQUESTS_PER_MINUTE
from tests.integration.test_benches import assert_contract, run_quick


def test_the_bench_of_limits_prints_what_is_used_and_refused(tmp_path: Path) -> None:
    lines, printed = run_quick("rate_limits", tmp_path)
    assert_contract(printed, "rate_limits")
    figures = printed["figures"]
    for kind in ("bucket", "window"):
        for api in ("openai", "anthropic"):
            assert figures[f"{kind}_{api}_used_smallest_ratio"] >= 0.9
            assert figures[f"{kind}_{api}_refused_largest_ratio"] < 0.05
            assert any(f"{kind}_{api}_used_ratio" in line and ".." in line for line in lines[:-1])
    for kind, api in (("bucket", "openai"), ("window", "anthropic")):
        # How many calls a busy machine makes in real time is not the limits' matter; one that
        # each producer has under way when the minute ends may be of the next one's.
        assert 0 < figures[f"http_{kind}_{api}_used_ratio"] <= 1 + PRODUCERS / REQUESTS_PER_MINUTE
        assert figures[f"http_{kind}_{api}_refused_ratio"] < 0.2
