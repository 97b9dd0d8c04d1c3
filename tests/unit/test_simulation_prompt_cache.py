"""Providers' prompt caches: what is read, what is written, by each rule."""

from __future__ import annotations

import pytest

from mesh.simulation.prompt_cache import LIFETIME_S, PromptBlock, PromptCache

TOKEN = "abc "


def text(tokens: int, word: str = TOKEN) -> str:
    return word * tokens


def marked(tokens: int, word: str = TOKEN) -> PromptBlock:
    return PromptBlock(text(tokens, word), LIFETIME_S)


def test_a_repeated_prefix_is_read_in_steps_of_128_tokens() -> None:
    cache = PromptCache()
    first = cache.by_prefix([PromptBlock(text(1500))], tokens_min=1024, now_s=0)
    assert (first.prompt_tokens, first.read_tokens) == (1500, 0)
    cache.keep(first, now_s=0)
    longer = PromptBlock(text(1500) + text(700, "xyz "))
    assert cache.by_prefix([longer], tokens_min=1024, now_s=1).read_tokens == 1408


@pytest.mark.parametrize(("tokens", "read"), [(1023, 0), (1024, 1024), (1151, 1024), (1152, 1152)])
def test_short_prefixes_are_not_kept(tokens: int, read: int) -> None:
    cache = PromptCache()
    prompt = [PromptBlock(text(tokens))]
    cache.keep(cache.by_prefix(prompt, tokens_min=1024, now_s=0), now_s=0)
    assert cache.by_prefix(prompt, tokens_min=1024, now_s=1).read_tokens == read


def test_an_early_change_reads_nothing_by_prefix() -> None:
    cache = PromptCache()
    cache.keep(cache.by_prefix([PromptBlock(text(3000))], tokens_min=1024, now_s=0), now_s=0)
    changed = [PromptBlock("x" + text(3000))]
    assert cache.by_prefix(changed, tokens_min=1024, now_s=1).read_tokens == 0


def test_prompts_that_start_together_all_miss() -> None:
    cache = PromptCache()
    prompt = [PromptBlock(text(2000))]
    assert cache.by_prefix(prompt, tokens_min=1024, now_s=0).read_tokens == 0
    assert cache.by_prefix(prompt, tokens_min=1024, now_s=0).read_tokens == 0


def test_prefixes_are_forgotten_when_nobody_uses_them() -> None:
    cache = PromptCache()
    prompt = [PromptBlock(text(2000))]
    cache.keep(cache.by_prefix(prompt, tokens_min=1024, now_s=0), now_s=0)
    used = cache.by_prefix(prompt, tokens_min=1024, now_s=299)
    assert used.read_tokens > 0
    cache.keep(used, now_s=299)
    assert cache.by_prefix(prompt, tokens_min=1024, now_s=598).read_tokens > 0
    assert cache.by_prefix(prompt, tokens_min=1024, now_s=600).read_tokens == 0


def test_a_breakpoint_is_written_once_and_read_after_that() -> None:
    cache = PromptCache()
    prompt = [marked(1200), marked(800), PromptBlock(text(50))]
    first = cache.by_breakpoints(prompt, tokens_min=1024, now_s=0)
    assert (first.prompt_tokens, first.read_tokens, first.written_tokens) == (2050, 0, 2000)
    cache.keep(first, now_s=0)
    again = cache.by_breakpoints(prompt, tokens_min=1024, now_s=1)
    assert (again.read_tokens, again.written_tokens) == (2000, 0)


def test_what_follows_the_last_hit_is_written() -> None:
    cache = PromptCache()
    first = [marked(1200), PromptBlock(text(50))]
    cache.keep(cache.by_breakpoints(first, tokens_min=1024, now_s=0), now_s=0)
    grown = [PromptBlock(text(1200)), marked(800), PromptBlock(text(60))]
    use = cache.by_breakpoints(grown, tokens_min=1024, now_s=1)
    assert (use.read_tokens, use.written_tokens, use.prompt_tokens) == (1200, 800, 2060)


def test_without_a_breakpoint_nothing_is_kept() -> None:
    use = PromptCache().by_breakpoints([PromptBlock(text(5000))], tokens_min=1024, now_s=0)
    assert (use.read_tokens, use.written_tokens, use.kept) == (0, 0, ())


def test_a_breakpoint_below_the_least_length_is_not_written() -> None:
    use = PromptCache().by_breakpoints([marked(1000)], tokens_min=1024, now_s=0)
    assert (use.written_tokens, use.kept) == (0, ())


@pytest.mark.parametrize(("blocks_after", "read"), [(19, 1100), (20, 1100), (21, 0)])
def test_a_kept_prefix_is_found_at_most_20_blocks_before_a_breakpoint(
    blocks_after: int, read: int
) -> None:
    cache = PromptCache()
    cache.keep(cache.by_breakpoints([marked(1100)], tokens_min=1024, now_s=0), now_s=0)
    more = [PromptBlock(text(10)) for _ in range(blocks_after - 1)]
    prompt = [PromptBlock(text(1100)), *more, marked(10)]
    assert cache.by_breakpoints(prompt, tokens_min=1024, now_s=1).read_tokens == read


def test_the_same_text_in_other_blocks_is_another_prefix() -> None:
    cache = PromptCache()
    cache.keep(cache.by_breakpoints([marked(2000)], tokens_min=1024, now_s=0), now_s=0)
    split = [PromptBlock(text(1000)), marked(1000)]
    assert cache.by_breakpoints(split, tokens_min=1024, now_s=1).read_tokens == 0


def test_marks_are_found_however_many_blocks_follow_but_not_what_is_not_marked() -> None:
    cache = PromptCache()
    blocks = [marked(400, f"{at:03d} ") for at in range(30)]
    cache.keep(cache.by_marks(blocks[:4], tokens_min=1024, now_s=0), now_s=0)
    assert cache.by_marks(blocks, tokens_min=1024, now_s=1).read_tokens == 1600
    only_last = [*(PromptBlock(block.text) for block in blocks[:-1]), blocks[-1]]
    assert cache.by_marks(only_last, tokens_min=1024, now_s=1).read_tokens == 0


def test_of_many_marks_the_latest_four_are_kept() -> None:
    cache = PromptCache()
    blocks = [marked(2_000, f"{at:03d} ") for at in range(6)]
    use = cache.by_marks(blocks, tokens_min=1024, now_s=0)
    assert use.written_tokens == 12_000
    cache.keep(use, now_s=0)
    found = [
        cache.by_marks(blocks[:end], tokens_min=1024, now_s=1).read_tokens for end in range(1, 7)
    ]
    assert found == [0, 0, 6_000, 8_000, 10_000, 12_000]


def test_calls_of_one_key_beyond_fifteen_a_minute_go_to_a_machine_that_knows_less() -> None:
    cache = PromptCache()
    prompt = [PromptBlock(text(2_000))]

    def read(key: str, now_s: float) -> int:
        machine = cache.machine(prompt, key, now_s)
        use = cache.by_prefix(prompt, tokens_min=1024, now_s=now_s, machine=machine)
        cache.keep(use, now_s=now_s)
        return use.read_tokens

    found = [read("a", second) > 0 for second in range(17)]
    assert found == [False, *[True] * 14, False, True]
    assert read("b", 17) == 0
    steady = {cache.machine(prompt, "a", second) for second in range(17, 300)}
    assert steady == {b"a/0", b"a/1", b"a/2", b"a/3"}, "60 a minute"
