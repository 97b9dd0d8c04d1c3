"""Catalog and model files of a user's own, and what is said about those that cannot be used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mesh.simulation.catalog import (
    CatalogEntry,
    CatalogShelf,
    CatalogUnusable,
    known_topics,
    read_catalog,
)
from mesh.simulation.models import ModelsUnusable, load_models, model_choices

MINIMAL = """
[models.mine]
api = "openai"
knows = 1
taste = 1.0
suppress = 0.9
obey = 0.9
ttft_s = 0.1
tokens_per_s = 100
format = "plain"
"""


def file(tmp_path: Path, text: str, name: str = "sea-creatures_deep.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_any_text_file_is_a_catalog_named_after_itself(tmp_path: Path) -> None:
    catalog = read_catalog(file(tmp_path, "Anglerfish\n\n  Giant squid \nanglerfish\n"))
    assert catalog.topic == "sea creatures deep"
    assert [entry.name for entry in catalog.entries] == ["Anglerfish", "Giant squid"]
    assert catalog.facets() == {}


def test_a_head_names_topic_wordings_and_source_and_lines_may_have_facet_and_aliases(
    tmp_path: Path,
) -> None:
    text = (
        "# topic: Sea creatures\n# also: marine animals; life in the sea\n# source: a test\n"
        "Anglerfish\tFish\tSea devil|Monkfish\nGiant squid\tMolluscs\t\nKraken\n"
    )
    catalog = read_catalog(file(tmp_path, text))
    assert catalog.topic == "Sea creatures"
    assert catalog.wordings == ("marine animals", "life in the sea")
    assert catalog.source == "a test"
    assert catalog.entries[0] == CatalogEntry("Anglerfish", "Fish", ("Sea devil", "Monkfish"))
    assert catalog.facets() == {"Fish": [0], "Molluscs": [1]}
    assert catalog.index_of("the sea devil") == 0


def test_an_entry_may_begin_with_a_number_sign_after_the_head(tmp_path: Path) -> None:
    catalog = read_catalog(file(tmp_path, "# topic: Tags\nfirst\n#second\n"))
    assert [entry.name for entry in catalog.entries] == ["first", "#second"]


def test_an_alias_that_is_another_entrys_name_is_dropped(tmp_path: Path) -> None:
    catalog = read_catalog(file(tmp_path, "Squid\tx\tKraken|Calamari\nKraken\tx\tcalamari\n"))
    assert [entry.aliases for entry in catalog.entries] == [("Calamari",), ()]
    assert catalog.index_of("kraken") == 1


def test_a_users_catalog_comes_first_and_hides_one_of_the_same_topic(tmp_path: Path) -> None:
    mine = file(tmp_path, "# topic: Paris attractions\nMy own tower\n")
    assert known_topics([mine])[0] == "Paris attractions"
    assert known_topics([mine]).count("Paris attractions") == 1
    catalog = CatalogShelf([mine]).find("paris attractions")
    assert catalog is not None
    assert [entry.name for entry in catalog.entries] == ["My own tower"]


def test_who_asks_while_another_thread_reads_the_catalogs_finds_them_all(tmp_path: Path) -> None:
    held, go_on = threading.Event(), threading.Event()

    class HeldFile(type(Path())):  # type: ignore[misc]  # Its class depends on the system.
        def open(self, *given: Any, **named: Any) -> Any:
            if not held.is_set():
                held.set()
                assert go_on.wait(10)
            return super().open(*given, **named)

    shelf = CatalogShelf([file(tmp_path, "x", "a.txt"), HeldFile(file(tmp_path, "y", "b.txt"))])
    with ThreadPoolExecutor(1) as thread:
        warming_up = thread.submit(shelf.topics)
        assert held.wait(10)
        found = shelf.find("Paris attractions"), shelf.find("b")
        go_on.set()
        assert warming_up.result() == shelf.topics()
    assert all(found)


def test_a_topic_that_nobody_knows_finds_nothing(tmp_path: Path) -> None:
    shelf = CatalogShelf([file(tmp_path, "x", "deep-sea.txt")])
    assert shelf.find("Moons of Saturn") is None
    assert not shelf.knows("Moons of Saturn")
    assert shelf.knows("The deep sea")


def test_the_longest_wording_in_a_text_wins(tmp_path: Path) -> None:
    seas = file(tmp_path, "# topic: Seas\nx", "a.txt")
    creatures = file(tmp_path, "# topic: Seas and creatures\ny", "b.txt")
    catalog = CatalogShelf([seas, creatures]).named_in("All seas and creatures, please")
    assert catalog is not None
    assert catalog.topic == "Seas and creatures"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes(b"\xef\xbb\xbfAnglerfish\n")
    assert read_catalog(path).index_of("Anglerfish") == 0


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "holds no entry"), (b"# topic: x\n", "no entry"), (b"\xff\xfe", "UTF-8")],
)
def test_a_file_that_is_no_catalog_is_named_with_the_reason(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(raw)
    with pytest.raises(CatalogUnusable, match=reason) as caught:
        read_catalog(path)
    assert str(path) in str(caught.value)
    with pytest.raises(CatalogUnusable, match=reason):
        CatalogShelf([path]).knows(CatalogShelf([path]).topics()[0])


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnusable, match="No such file"):
        known_topics([tmp_path / "missing.txt"])


def test_a_models_file_of_ones_own_is_what_may_be_named_and_the_odd_ones_are_served_too(
    tmp_path: Path,
) -> None:
    path = file(tmp_path, MINIMAL, "models.toml")
    assert model_choices(path) == {"mine": ("openai", "")}
    assert {"mine", "reasoner"} <= set(load_models(path))
    assert "atlas" not in load_models(path)
    assert load_models(path)["mine"].knows == 1


def test_without_one_the_odd_models_may_be_named_as_well() -> None:
    choices = model_choices()
    assert list(choices)[:2] == ["atlas", "swift"]
    assert choices["atlas"] == ("openai", "gpt-4o")
    assert choices["opus"][0] == "anthropic"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("knows = 1", "knows = 1.5", "models.mine.knows = 1.5: a share between 0 and 1"),
        ("knows = 1", "knows = true", "a number"),
        ("knows = 1", "", "models.mine lacks knows"),
        ("knows = 1", "knwos = 1\nknows = 1", "did you mean knows?"),
        ('format = "plain"', 'format = "prose"', "one of numbered"),
        ('api = "openai"', 'api = "other"', "one of openai, anthropic"),
        ("tokens_per_s = 100", "tokens_per_s = 0", "more than 0"),
        ("taste = 1.0", "taste = nan", "0 or more"),
        ("taste = 1.0", "taste = 1.0\nstreams = 1", "true or false"),
        ("taste = 1.0", 'taste = 1.0\nrejects = "x"', "a list of texts"),
        ("taste = 1.0", "taste = 1.0\ncontext_tokens = 10.5", "a whole number"),
        ("[models.mine]", "[model.mine]", "holds no [models.NAME]"),
        ("[models.mine]", "[models.mine", "Expected"),
        ("[models.mine]", "[models]\nmine = 3\n[other]", "models.mine is not a table"),
    ],
)
def test_a_wrong_figure_is_named_with_what_is_right(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = file(tmp_path, MINIMAL.replace(old, new), "models.toml")
    with pytest.raises(ModelsUnusable) as caught:
        load_models(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_models_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsUnusable, match="No such file"):
        model_choices(tmp_path / "missing.toml")
