"""What a judge is asked, and how its answer is read."""

from __future__ import annotations

import pytest

from mesh.core.entries import Question
from mesh.llm.judging import NO_ANSWER, judging_prompt, read_judgements
from mesh.simulation.catalog import CatalogShelf
from mesh.simulation.prompt_reading import Wanted, read_prompt

TWO = (Question("Raypur", ("Raipur", "Jaipur", "Rampur")), Question("NYC", ("New York",)))


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("2\nnone", (2, 0)),
        ("None\n1\n", (0, 1)),
        ("1. 2\n2. none", (2, 0)),
        ("Entry 1: 3\n\nEntry 2: 1", (3, 1)),
        ("Raypur: none.\nNYC: 1", (0, 1)),
        ("4\n2", (NO_ANSWER, NO_ANSWER)),
        ("2", (NO_ANSWER, NO_ANSWER)),
        ("1\n1\n1", (NO_ANSWER, NO_ANSWER)),
        ("I cannot say.", (NO_ANSWER, NO_ANSWER)),
        ("", (NO_ANSWER, NO_ANSWER)),
        ("9" * 5000 + "\n1", (NO_ANSWER, NO_ANSWER)),
    ],
)
def test_answers_are_read_as_models_write_them(answer: str, read: tuple[int, ...]) -> None:
    assert read_judgements(answer, TWO) == read


def test_the_simulator_reads_the_questions_that_the_prompt_asks() -> None:
    catalog = CatalogShelf().find("Paris attractions")
    assert catalog is not None
    prompt = judging_prompt("Paris attractions", TWO)
    reading = read_prompt(f"{prompt.instructions}\n{prompt.task}", catalog)
    assert reading.wanted is Wanted.JUDGEMENT
    assert [(each.name, [name for _, name in each.candidates]) for each in reading.questions] == [
        (each.text, list(each.candidates)) for each in TWO
    ]


def test_many_long_questions_are_read_whole() -> None:
    catalog = CatalogShelf().find("Paris attractions")
    assert catalog is not None
    questions = [Question(f"{n} " + "x" * 400, ("y" * 400,) * 5) for n in range(12)]
    prompt = judging_prompt("Paris attractions", questions)
    assert len(read_prompt(f"{prompt.instructions}\n{prompt.task}", catalog).questions) == 12


def test_a_topic_of_several_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="one line"):
        judging_prompt("\n", TWO)
