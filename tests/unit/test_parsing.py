"""Answers as models write them, and as nobody should, become entries."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.normalize import clean_text
from mesh.llm.parsing import (
    ENTRIES_MAX,
    LINE_CHARACTERS_MAX,
    AnswerParser,
    Entry,
    Parsed,
    Rejected,
    RejectReason,
    Remark,
    RemarkKind,
)


def _parse(answer: str, *, cut: bool = False) -> list[Parsed]:
    parser = AnswerParser()
    return [*parser.feed(answer), *parser.finish(cut=cut)]


def _names(answer: str, *, cut: bool = False) -> list[str]:
    return [part.text for part in _parse(answer, cut=cut) if isinstance(part, Entry)]


THREE = ["Louvre", "Eiffel Tower", "Notre-Dame"]

SHAPES = {
    "plain": "Louvre\nEiffel Tower\nNotre-Dame\n",
    "no newline at the end": "Louvre\nEiffel Tower\nNotre-Dame",
    "blank lines": "\n\nLouvre\n\n\nEiffel Tower\n \nNotre-Dame\n\n",
    "carriage returns": "Louvre\r\nEiffel Tower\r\nNotre-Dame\r\n",
    "numbered": "1. Louvre\n2. Eiffel Tower\n3. Notre-Dame",
    "numbered on": "251. Louvre\n252. Eiffel Tower\n253. Notre-Dame",
    "numbered without a space": "1.Louvre\n2.Eiffel Tower\n3.Notre-Dame",
    "parentheses": "1) Louvre\n2) Eiffel Tower\n3) Notre-Dame",
    "in parentheses": "(1) Louvre\n(2) Eiffel Tower\n(3) Notre-Dame",
    "in brackets": "[1] Louvre\n[2] Eiffel Tower\n[3] Notre-Dame",
    "hashes": "#1 Louvre\n#2 Eiffel Tower\n#3: Notre-Dame",
    "dashes": "1 - Louvre\n2 - Eiffel Tower\n3 – Notre-Dame",
    "escaped": "1\\. Louvre\n2\\. Eiffel Tower\n3\\. Notre-Dame",
    "keycaps": "1️⃣ Louvre\n2️⃣ Eiffel Tower\n3️⃣ Notre-Dame",
    "letters": "a) Louvre\nb) Eiffel Tower\nc) Notre-Dame",
    "chinese numbers": "1、Louvre\n2、Eiffel Tower\n3、Notre-Dame",
    "bullets": "- Louvre\n- Eiffel Tower\n- Notre-Dame",
    "stars": "* Louvre\n* Eiffel Tower\n* Notre-Dame",
    "dots": "• Louvre\n•Eiffel Tower\n‣ Notre-Dame",
    "dashes as bullets": "– Louvre\n— Eiffel Tower\n+ Notre-Dame",
    "checkboxes": "- [ ] Louvre\n- [x] Eiffel Tower\n[ ] Notre-Dame",
    "bullets with numbers": "- 1. Louvre\n- 2. Eiffel Tower\n- 3. Notre-Dame",
    "bold": "**Louvre**\n**Eiffel Tower**\n__Notre-Dame__",
    "bold in a list": "1. **Louvre**\n2. **Eiffel Tower**\n3. **Notre-Dame**",
    "bold with its number": "**1. Louvre**\n**2.** Eiffel Tower\n**3. Notre-Dame**",
    "italics": "*Louvre*\n_Eiffel Tower_\n***Notre-Dame***",
    "code": "`Louvre`\n- `Eiffel Tower`\n1. `Notre-Dame`",
    "links": "- [Louvre](https://louvre.fr)\n- [Eiffel Tower](<x>)\n- [Notre-Dame](a_(b))",
    "headings with numbers": "### 1. Louvre\n### 2. Eiffel Tower\n### 3. **Notre-Dame**",
    "quotes": '"Louvre"\n“Eiffel Tower”\n«Notre-Dame»',
    "quotes with commas": '"Louvre",\n"Eiffel Tower",\n"Notre-Dame"',
    "quoted text": "> Louvre\n> Eiffel Tower\n> - Notre-Dame",
    "final dots": "Louvre.\nEiffel Tower.\nNotre-Dame.",
    "emoji": "🎨 Louvre\n🗼 Eiffel Tower ✨\n- ⛪ Notre-Dame",
    "entities": "Louvre\nEiffel&nbsp;Tower\n<b>Notre-Dame</b>",
    "fenced": "```\nLouvre\nEiffel Tower\nNotre-Dame\n```",
    "fenced with a language": "Here you go:\n```text\nLouvre\nEiffel Tower\nNotre-Dame\n```\n",
    "chatty": "Sure! Here are three:\n\n1. Louvre\n2. Eiffel Tower\n3. Notre-Dame\n\nEnjoy!",
    "chatty, plain": "Of course.\nLouvre\nEiffel Tower\nNotre-Dame\nI hope this helps!",
    "headed": "## Museums\n- Louvre\n\n## Others\n- Eiffel Tower\n- Notre-Dame",
    "headed in bold": "**Museums**\n- Louvre\n\n**Others**\n- Eiffel Tower\n- Notre-Dame",
    "headed by lines": "Museums:\n- Louvre\n**Others:**\n- Eiffel Tower\n- Notre-Dame",
    "ruled": "Louvre\n---\nEiffel Tower\n***\nNotre-Dame\n===",
    "thoughts": "<think>\nPompidou?\n1. Orsay\n</think>\n\nLouvre\nEiffel Tower\nNotre-Dame",
    "thoughts in one line": "<think>Orsay</think>Louvre\nEiffel Tower\nNotre-Dame",
    "dashes before descriptions": "Louvre – the world's largest museum\n"
    "Eiffel Tower — an iron tower\nNotre-Dame - a cathedral",
    "colons before descriptions": "Louvre: the largest museum\n"
    "**Eiffel Tower:** Built in 1889\n**Notre-Dame**: Cathedral",
    "bold before descriptions": "**Louvre** is a museum.\n**Eiffel Tower** – Iron Lady\n"
    "- **Notre-Dame** (a medieval cathedral on an island)",
    "arrows before descriptions": "Louvre → a museum\nEiffel Tower -> a tower\n"
    "Notre-Dame | a church",
    "short descriptions later": "Louvre – the museum\nEiffel Tower – Landmark\nNotre-Dame – Church",
    "asides": "Louvre (famous museum in the 1st arrondissement)\n"
    "Eiffel Tower (also known as the Iron Lady)\nNotre-Dame (built from 1163 on)",
    "clauses": "Louvre, the world's largest museum\nEiffel Tower, which was built in 1889\n"
    "Notre-Dame, a medieval cathedral",
    "sentences": "Louvre is a museum.\nEiffel Tower is the tower.\nNotre-Dame is one of many.",
    "details below": "1. Louvre\n   - Location: Rue de Rivoli\n   The largest museum of all.\n"
    "2. Eiffel Tower\n   - Height: 330 m\n3. Notre-Dame",
    "paragraphs below": "**Louvre**\nThe world's largest museum.\n\n**Eiffel Tower**\n"
    "An iron lattice tower.\n\n**Notre-Dame**\nA medieval cathedral in Paris.",
    "citations": "Louvre [1]\nEiffel Tower[2]\nNotre-Dame 【3†source】",
    "table": "| # | Name | Type |\n|---|:---:|---|\n| 1 | Louvre | Museum |\n"
    "| 2 | **Eiffel Tower** | Tower |\n| 3 | Notre-Dame | Church |",
    "table without a head": "| 1 | Louvre |\n| 2 | Eiffel Tower |\n| 3 | Notre-Dame |",
    "yaml": "- name: Louvre\n- name: Eiffel Tower\n- name: Notre-Dame",
    "json list": '["Louvre", "Eiffel Tower", "Notre-Dame"]',
    "json list on lines": '[\n  "Louvre",\n  "Eiffel Tower",\n  "Notre-Dame"\n]\n',
    "json objects": '[{"name": "Louvre", "tags": ["art"]}, {"id": 2, "name": "Eiffel Tower"},'
    ' {"type": "church", "name": "Notre-Dame", "city": {"name": "Paris"}}]',
    "json object": '{"topic": "Paris", "entries": ["Louvre", "Eiffel Tower", "Notre-Dame"]}',
    "json by facet": '{"Museums": ["Louvre"], "Others": ["Eiffel Tower", "Notre-Dame"]}',
    "json of facets": '[{"category": "M", "entries": ["Louvre", "Eiffel Tower"]},'
    ' {"category": "C", "items": [{"name": "Notre-Dame"}]}]',
    "json by number": '{"1": "Louvre", "2": "Eiffel Tower", "3": "Notre-Dame"}',
    "json with other keys": '[{"attraction": "Louvre", "why": "art"},\n'
    '{"attraction": "Eiffel Tower"}, {"attraction": "Notre-Dame"}]',
    "json lines": '{"name": "Louvre"}\n{"name": "Eiffel Tower"}\n{"name": "Notre-Dame"}\n',
    "json in a fence": '```json\n[\n"Louvre",\n"Eiffel Tower",\n"Notre-Dame"\n]\n```\nDone!',
    "json after words": 'Here is the list: ["Louvre", "Eiffel Tower", "Notre-Dame"]',
    "json without its end": '["Louvre", "Eiffel Tower", "Notre-Dame"',
    "json without a comma": '["Louvre" "Eiffel Tower"\n"Notre-Dame"]',
    "json broken off by text": '[\n"Louvre",\n"Eiffel Tower",\n\n- Notre-Dame\n',
    "json in lines of a list": '1. {"name": "Louvre"}\n2. {"name": "Eiffel Tower"}\nNotre-Dame',
    "python list": "['Louvre', 'Eiffel Tower', 'Notre-Dame', 'Louvre', 'Louvre']",
    "semicolons": "Louvre; Eiffel Tower; Notre-Dame",
    "middle dots": "Louvre · Eiffel Tower · Notre-Dame",
}


@pytest.mark.parametrize("answer", SHAPES.values(), ids=SHAPES.keys())
def test_names_are_found_in_every_shape_of_answer(answer: str) -> None:
    assert _names(answer)[:3] == THREE
    assert set(_names(answer)) == set(THREE)


@pytest.mark.parametrize("answer", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_does_not_matter_where_pieces_end(answer: str, size: int) -> None:
    parser = AnswerParser()
    found: list[Parsed] = []
    for start in range(0, len(answer), size):
        found += parser.feed(answer[start : start + size])
    assert found + parser.finish(cut=False) == _parse(answer)


# Each would lose something to a rule that looked less closely.
NAMES = [
    "1984",
    "3 Doors Down",
    "12 Angry Men",
    "7 Wonders",
    "24 Hours of Le Mans",
    "24: Live Another Day",
    "(500) Days of Summer",
    "#9 Dream",
    "#MeToo",
    "3.5 mm jack",
    "2001: A Space Odyssey",
    "C++",
    "C#",
    ".NET",
    "AT&T",
    "A*",
    "M*A*S*H",
    "O-",
    "-ism",
    "東京",
    "القاهرة",
    "Saint-Germain-des-Prés",
    "Jean-Luc Picard",
    "Java (island)",
    "Casablanca (1942)",
    "Python (programming language)",
    "Eiffel Tower (Tour Eiffel)",
    "Star Wars: Episode IV",
    "Star Wars: Episode IV – A New Hope",
    "Spider-Man: No Way Home",
    "Mission: Impossible",
    "Charles de Gaulle – Étoile",
    "Barbès – Rochechouart",
    "Paris - Charles de Gaulle",
    "Trois couleurs : Bleu",
    "Washington, D.C.",
    "Paris, Texas",
    "Beethoven, Ludwig van",
    "The Good, the Bad and the Ugly",
    "Crosby, Stills, Nash & Young",
    "Sammy Davis Jr.",
    "U.S.",
    "Wham!",
    "Who's Afraid of Virginia Woolf?",
    "Wait Wait... Don't Tell Me!",
    "“Heroes” Symphony",
    '"Weird Al" Yankovic',
    "'Salem's Lot",
    "Ar`ar",
    "I Am Legend",
    "I'm Not There",
    "I Can't Stop Loving You",
    "I Hope You Dance",
    "Here Comes the Sun",
    "Sure Thing",
    "OK Computer",
    "Yes, Minister",
    "Great Expectations",
    "No More Heroes",
    "No Other Name",
    "Nothing Else Matters",
    "Nothing",
    "Let Me Know",
    "Let It Be",
    "If You Leave",
    "Note by Note",
    "This Is Spinal Tap",
    "The List",
    "Life Is Beautiful",
    "The World Is Not Enough",
    "What Is the What",
    "Enjoy the Silence",
    "Finally Found Someone",
    "Total Recall",
    "input - output",
    "merge sort - stable",
    "<img src=x onerror=alert(1)>",
    "<br>",
    "snake_case_name",
    "__init__.py",
    "x86",
    "iPhone",
    "Flag of 🇫🇷",
    "🎉",
    "+",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_belongs_to_a_name_stays(name: str) -> None:
    assert _names(name) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_what_belongs_to_a_name_stays_in_a_numbered_list(name: str) -> None:
    assert _names(f"1. Louvre\n2. {name}\n") == ["Louvre", name]


@pytest.mark.parametrize("name", NAMES)
def test_what_belongs_to_a_name_stays_in_a_plain_list(name: str) -> None:
    assert _names(f"Louvre\n{name}\nPanthéon\n") == ["Louvre", name, "Panthéon"]


def test_an_ordinal_is_no_list_mark_where_lines_are_not_numbered() -> None:
    assert _names("Marais\n20. Arrondissement\n- 5. Bezirk") == [
        "Marais",
        "20. Arrondissement",
        "5. Bezirk",
    ]


def test_only_one_number_is_a_list_mark() -> None:
    assert _names("1. Bayern\n2. 1. FC Köln") == ["Bayern", "1. FC Köln"]


def test_numbers_set_off_loosely_are_marks_only_where_they_count_on() -> None:
    assert _names("300: Rise of an Empire\n24: Legacy") == ["300: Rise of an Empire", "24: Legacy"]
    assert _names("1: Louvre\n2: Orsay\n24: Legacy") == ["Louvre", "Orsay", "24: Legacy"]


CHATTER = [
    "Sure!",
    "Sure! Here are 20 attractions:",
    "Sure, here is the list",
    "Certainly! Here are more entries.",
    "Of course, here are some further entries",
    "Great! Here's another batch:",
    "Here are 20 further Paris attractions",
    "Here's a list of attractions.",
    "Below are the entries you asked for.",
    "These are some of the lesser-known museums in Paris.",
    "I hope this helps!",
    "I hope this list is useful",
    "Let me know if you need more.",
    "Would you like more entries?",
    "Feel free to ask for more",
    "Please note that some may be closed",
    "Note: some of these are closed on Mondays.",
    "If you want more, just ask.",
    "I've avoided all entries that are listed.",
    "Total: 20 entries",
    "## Museums",
    "Museums:",
    "**Museums:**",
    "Voici vingt attractions :",
    "以下はリストです：",
    "End of list.",
    "Paris is a city with many attractions that you can visit.",
]
REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I cannot assist with this request.",
    "Sorry, I'm unable to list more.",
    "I cannot provide a list of real people.",
    "I am unable to continue.",
    "As an AI language model, I have no access to this.",
    "Unfortunately, I can't verify these.",
]
EXHAUSTED = [
    "No more entries.",
    "No more entries",
    "no more entries",
    "NO MORE ENTRIES.",
    "**No more entries.**",
    "(No more entries)",
    "- No more entries.",
    "1. No more entries.",
    '["No more entries."]',
    '{"message": "No more entries."}',
    "No further entries.",
    "No additional entries can be provided.",
    "I have no further entries",
    "I have no further entries to add.",
    "There are no more Paris museums that I can think of.",
    "No more Paris attractions.",
    "I'm sorry, but I have no more entries.",
    "The list is complete.",
    "The list appears to be complete",
    "All entries have already been listed.",
    "I have listed all the attractions that I know.",
    "I can't think of any more entries.",
    "I don't know any other museums.",
    "Nothing left to add.",
    "None left.",
    "That's all I know.",
]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        *((line, RemarkKind.CHATTER) for line in CHATTER),
        *((line, RemarkKind.REFUSAL) for line in REFUSALS),
        *((line, RemarkKind.EXHAUSTED) for line in EXHAUSTED),
    ],
)
def test_what_a_model_says_to_its_reader_is_no_entry(line: str, kind: RemarkKind) -> None:
    assert _parse(line) == [Remark(kind)]


def test_a_model_may_run_dry_after_some_entries() -> None:
    answer = "Louvre\nNo more entries."
    assert _parse(answer) == [Entry("Louvre"), Remark(RemarkKind.EXHAUSTED)]


def test_an_entry_is_returned_as_soon_as_its_line_is_complete() -> None:
    parser = AnswerParser()
    assert parser.feed("1. Lou") == []
    assert parser.feed("vre\n2. Eif") == [Entry("Louvre")]
    assert parser.feed("fel Tower") == []
    assert parser.finish(cut=False) == [Entry("Eiffel Tower")]


def test_an_entry_in_json_is_returned_as_soon_as_its_string_is_closed() -> None:
    parser = AnswerParser()
    assert parser.feed('["Lou') == []
    assert parser.feed('vre"') == [Entry("Louvre")]
    assert parser.feed(', {"name": "Orsay"') == [Entry("Orsay")]
    assert parser.feed(', "tags": ["art"]}]') == []
    assert parser.finish(cut=False) == []


@pytest.mark.parametrize(
    "answer",
    [
        "Louvre\nOrsay\nPompid",
        "1. Louvre\n2. Orsay\n3. Pompid",
        "Louvre\nOrsay\n",
        '["Louvre", "Orsay", "Pompid',
        '[{"name": "Louvre"}, {"name": "Orsay"}, {"name": "Pom',
        "Louvre\nOrsay\n<thin",
        "Louvre\nOrsay\n<think>Pompidou\n",
        "Louvre, Orsay, Louvre, Orsay, Orsay, Pompid",
    ],
)
def test_a_cut_last_line_is_dropped(answer: str) -> None:
    assert list(dict.fromkeys(_names(answer, cut=True))) == ["Louvre", "Orsay"]


def test_a_bold_line_held_back_survives_a_cut() -> None:
    assert _names("**Louvre**\n**Ors", cut=True) == ["Louvre"]


def test_escapes_in_json_are_read() -> None:
    answer = r'["Mus\u00e9e d\u0027Orsay", "\ud83d\uddfc", "a \"b\" c", "back\\slash", "x\u202ey"]'
    assert _names(answer) == ["Musée d'Orsay", "🗼", 'a "b" c', "back\\slash", "xy"]


def test_titles_in_lower_case_after_a_colon_are_the_known_loss() -> None:
    assert _names("Dune : deuxième partie") == ["Dune"]


def test_an_endless_line_is_rejected_once_and_skipped() -> None:
    parser = AnswerParser()
    found = [part for _ in range(100) for part in parser.feed("x" * 1_000)]
    found += parser.feed("\nLouvre\n")
    assert found == [Rejected("x" * 200, RejectReason.TOO_LONG), Entry("Louvre")]


def test_an_endless_string_in_json_is_rejected_once_and_skipped() -> None:
    parser = AnswerParser()
    found = parser.feed('["')
    for _ in range(100):
        found += parser.feed("x" * 1_000)
    found += parser.feed('", "Louvre"]')
    assert found == [Rejected("x" * 200, RejectReason.TOO_LONG), Entry("Louvre")]


def test_an_entry_of_too_many_bytes_is_rejected() -> None:
    assert _parse("東" * 171) == [Rejected("東" * 171, RejectReason.TOO_LONG)]


def test_an_invisible_entry_is_rejected() -> None:
    assert _parse("- \u3164\n\u202e\u202e\n") == [
        Rejected("\u3164", RejectReason.UNPRINTABLE),
        Rejected("\u202e\u202e", RejectReason.UNPRINTABLE),
    ]


def test_prose_in_a_list_is_rejected() -> None:
    prose = "You should always book the tickets for these sights some days ahead."
    assert _parse(f"- {prose}") == [Rejected(prose, RejectReason.SENTENCE)]


def test_an_answer_has_a_bounded_number_of_entries() -> None:
    found = _parse("".join(f"Name {number}\n" for number in range(ENTRIES_MAX + 50)))
    assert len(found) == ENTRIES_MAX + 1
    assert found[-1] == Rejected(f"Name {ENTRIES_MAX}", RejectReason.TOO_MANY)


HOSTILE = [
    "[" * 300_000,
    '[["' * 100_000,
    '{"a":' * 100_000 + '"x"',
    "[{" * 100_000 + '"',
    '["' + "\\" * 300_000,
    "<" * 300_000,
    "<think>" * 50_000,
    "<think></think>" * 50_000,
    "*" * 300_000,
    "* " * 150_000,
    "\n" * 300_000,
    "\x00" * 300_000,
    "\u202e" * 300_000,
    "1. " * 100_000,
    "> " * 150_000,
    "|" * 300_000,
    ("|" + "-" * 4_000 + "x\n") * 50,
    ("[x](" * 1_000 + "\n") * 50,
    ("[a](b(c" * 500 + "\n") * 50,
    ("【" * 4_000 + "】\n") * 50,
    ("🏻" * 4_000 + "x\n") * 50,
    ("a – " * 1_000 + "\n") * 50,
    ("a (" * 1_300 + ")\n") * 50,
    ("I have no more " + "x " * 2_000 + "\n") * 50,
    ("This is " + "a " * 2_000 + "\n") * 50,
    ("*a " * 1_300 + "\n") * 50,
    ("<b " * 1_300 + "\n") * 50,
    ("a, " * 1_300 + "\n") * 50,
    (" " * 4_000 + "x\n") * 50,
]


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_cost_time_linear_in_their_length(answer: str) -> None:
    parser = AnswerParser()
    started_s = time.process_time()
    for start in range(0, len(answer), 5_000):
        parser.feed(answer[start : start + 5_000])
    parser.finish(cut=False)
    # 300 kB take a tenth of this; what grows with the square of the length takes minutes.
    assert time.process_time() - started_s < 10


# fmt: off
_SIGNS = ["\n", "\r\n", " ", "1. ", "- ", '"', "[", "{", "]", "}", ",", ":", "\\", "<think>"]
_SIGNS += ["</think>", "<", "|", "**", "`", "```", "#", "(", "\u202e", "\x00"]
_SIGNS += ["x" * (LINE_CHARACTERS_MAX - 3)]
# fmt: on
_PIECES = st.sampled_from([*SHAPES.values(), *NAMES, *CHATTER, *EXHAUSTED, *_SIGNS])
_ANSWERS = st.one_of(st.text(), st.lists(_PIECES, max_size=8).map("".join))


@given(_ANSWERS, st.lists(st.integers(1, 40), min_size=1, max_size=10), st.booleans())
def test_any_text_gives_the_same_however_it_is_cut_into_pieces(
    answer: str, sizes: list[int], cut: bool
) -> None:
    parser = AnswerParser()
    found: list[Parsed] = []
    start = turn = 0
    while start < len(answer):
        size = sizes[turn % len(sizes)]
        found += parser.feed(answer[start : start + size])
        start, turn = start + size, turn + 1
    assert found + parser.finish(cut=cut) == _parse(answer, cut=cut)


@given(_ANSWERS, st.booleans())
def test_every_entry_is_clean_and_every_reject_short(answer: str, cut: bool) -> None:
    for part in _parse(answer, cut=cut):
        if isinstance(part, Entry):
            assert clean_text(part.text) == part.text
        elif isinstance(part, Rejected):
            assert len(part.text) <= 200


def test_a_structured_answer_gives_each_entry_as_its_string_closes() -> None:
    answer = '{"entries":["Louvre","Sacr\\u00e9-C\\u0153ur","Paris, Texas","1. Orsay"]}'
    parser = AnswerParser()
    found_at = [
        (at, part.text)
        for at, character in enumerate(answer)
        for part in parser.feed(character)
        if isinstance(part, Entry)
    ]
    assert parser.finish(cut=False) == []
    assert [name for _, name in found_at] == ["Louvre", "Sacré-Cœur", "Paris, Texas", "Orsay"]
    closing_quotes = [match.start() for match in re.finditer(r'"[,\]]', answer)]
    assert [at for at, _ in found_at] == closing_quotes


def test_a_structured_answer_that_is_cut_keeps_the_strings_that_were_closed() -> None:
    assert _names('{"entries": ["Louvre", "Notre-Da', cut=True) == ["Louvre"]


@pytest.mark.parametrize(
    "answer", ['{"entries":[]}', '{ "entries" : [ ] }\n', '{"entries":["No more entries."]}']
)
def test_a_structured_answer_without_entries_says_that_there_are_no_more(answer: str) -> None:
    assert _parse(answer) == [Remark(RemarkKind.EXHAUSTED)]


@pytest.mark.parametrize("answer", ['{"entries":["Louvre"]}', '{"entries":[]}\nLouvre', ""])
def test_an_answer_with_entries_or_without_a_list_does_not(answer: str) -> None:
    assert Remark(RemarkKind.EXHAUSTED) not in _parse(answer)
