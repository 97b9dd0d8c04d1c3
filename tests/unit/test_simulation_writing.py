"""How simulated models write their answers down, and that what is marked as written is there."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import get_args

import pytest

from mesh.simulation.catalog import Catalog, CatalogEntry
from mesh.simulation.folding import folded, without_accents
from mesh.simulation.models import AnswerFormat, SimulatedModel, load_models
from mesh.simulation.tokens import first_tokens, token_count
from mesh.simulation.writing import (
    TIRELESS_LINES,
    Line,
    WrittenAnswer,
    lines_of,
    write_entries,
    write_names,
)

CATALOG = Catalog(
    "Things",
    (),
    (
        CatalogEntry("Musée d'Orsay", "Museums", ("Orsay Museum",)),
        CatalogEntry('A "quoted" name', "Museums"),
        CatalogEntry("東京", "Cities", ("Tokyo",)),
        CatalogEntry("Pont Neuf", "Bridges"),
    ),
)
OTHER = Catalog("Others", (), (CatalogEntry("Hydrogen"), CatalogEntry("Helium")))
FORMATS: tuple[AnswerFormat, ...] = get_args(AnswerFormat)
PLAIN = replace(
    load_models()["sonata"],
    alias_rate=0.0,
    case_rate=0.0,
    accent_rate=0.0,
    article_rate=0.0,
    off_topic_rate=0.0,
)
LINES = [Line(index, entry.name, entry.facet) for index, entry in enumerate(CATALOG.entries)]


def written(model: SimulatedModel, *, dry: bool = False, seed: int = 1) -> WrittenAnswer:
    return write_entries(model, CATALOG, LINES, dry=dry, source=random.Random(seed))


def spelled(model: SimulatedModel, index: int, count: int = 600) -> list[str]:
    source = random.Random(5)
    lines = lines_of(
        model, CATALOG, [index] * count, asked_count=2 * count, other=OTHER, source=source
    )
    return [line.text for line in lines]


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("seed", range(12))
def test_each_entry_stands_whole_before_where_it_is_said_to_end(
    layout: AnswerFormat, seed: int
) -> None:
    answer = written(replace(PLAIN, format=layout), seed=seed)
    assert [entry.index for entry in answer.entries] == [0, 1, 2, 3]
    start = 0
    for entry, line in zip(answer.entries, LINES, strict=True):
        shown = json.dumps(line.text, ensure_ascii=False)[1:-1] if layout == "json" else line.text
        assert shown in answer.text[start : entry.end]
        start = entry.end


@pytest.mark.parametrize("seed", range(12))
def test_json_is_json_whether_fenced_or_not(seed: int) -> None:
    text = written(replace(PLAIN, format="json"), seed=seed).text
    body = text.removeprefix("```json\n").strip().removesuffix("```")
    names = [each["name"] if isinstance(each, dict) else each for each in json.loads(body)]
    assert names == [line.text for line in LINES]


def test_a_chatty_model_talks_before_and_after() -> None:
    lines = written(replace(PLAIN, format="chatty")).text.strip().splitlines()
    assert "Pont Neuf" not in lines[0]
    assert "Pont Neuf" not in lines[-1]


@pytest.mark.parametrize("layout", FORMATS)
def test_a_model_that_has_run_dry_says_so_in_its_last_line(layout: AnswerFormat) -> None:
    model = replace(PLAIN, format=layout)
    said = written(model, dry=True).text.splitlines()[-1]
    alone = write_entries(model, CATALOG, [], dry=True, source=random.Random(1))
    assert alone.text == said + "\n"
    assert alone.entries == ()


def test_aliases_case_accents_and_articles_vary_at_their_rates() -> None:
    def share(text: str, model: SimulatedModel, index: int = 0) -> float:
        texts = spelled(model, index)
        return texts.count(text) / len(texts)

    assert share("Orsay Museum", replace(PLAIN, alias_rate=0.3)) == pytest.approx(0.3, abs=0.07)
    assert share("Musee d'Orsay", replace(PLAIN, accent_rate=0.3)) == pytest.approx(0.3, abs=0.07)
    assert share("The Pont Neuf", replace(PLAIN, article_rate=0.3), 3) == pytest.approx(
        0.3, abs=0.07
    )
    upper = share("PONT NEUF", replace(PLAIN, case_rate=0.3), 3)
    lower = share("pont neuf", replace(PLAIN, case_rate=0.3), 3)
    assert upper + lower == pytest.approx(0.3, abs=0.07)
    assert share("Pont Neuf", PLAIN, 3) == 1.0


def test_what_is_off_topic_is_no_entry_and_is_marked_so() -> None:
    source = random.Random(3)
    model = replace(PLAIN, off_topic_rate=0.5)
    lines = lines_of(model, CATALOG, range(4), asked_count=8, other=OTHER, source=source)
    strays = [line for line in lines if line.index is None]
    assert strays
    names = {folded(name) for entry in CATALOG.entries for name in (entry.name, *entry.aliases)}
    assert not names & {folded(line.text) for line in strays}


def test_no_more_is_written_than_was_asked_for() -> None:
    model = replace(PLAIN, off_topic_rate=1.0)
    source = random.Random(3)
    lines = lines_of(model, CATALOG, range(4), asked_count=4, other=OTHER, source=source)
    assert len(lines) == 4


def test_a_model_that_tires_repeats_its_own_lines_once_an_answer_is_long() -> None:
    catalog = Catalog("Things", (), tuple(CatalogEntry(f"Thing {n}") for n in range(1_000)))
    model = replace(PLAIN, self_repeats=0.2)
    source = random.Random(1)
    lines = lines_of(model, catalog, range(900), asked_count=5_000, other=None, source=source)
    begin = [line.index for line in lines[:TIRELESS_LINES]]
    assert len(set(begin)) == TIRELESS_LINES
    assert 0.15 < len(lines) / 900 - 1 < 0.25
    assert len({line.index for line in lines}) == 900


def test_facets_are_written_one_a_line() -> None:
    text = write_names(replace(PLAIN, format="numbered"), ["Museums", "Bridges"]).text
    assert text == "1. Museums\n2. Bridges\n"


@pytest.mark.parametrize(
    ("text", "plain"), [("Sacré-Cœur", "Sacre-Cœur"), ("が", "が"), ("Çà", "Ca"), ("नमस्ते", "नमस्ते")]
)
def test_accents_are_taken_off_latin_letters_alone(text: str, plain: str) -> None:
    assert without_accents(text) == plain


def test_a_text_is_cut_at_tokens_without_splitting_a_character() -> None:
    assert token_count("abcde") == 2
    assert first_tokens("東京東京", 1) == "東"
    assert first_tokens("abcdefgh", 1) == "abcd"
    assert first_tokens("abc", 1) == "abc"
    assert first_tokens("abc", 0) == ""
