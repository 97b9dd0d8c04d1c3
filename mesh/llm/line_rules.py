"""What of a line of an answer is its form: list marks, markdown, quotes, emoji, commas.

Pure rules on single lines; what depends on the lines before comes in as an argument. Where the
name ends and a description begins is descriptions.py's.

A number is a list mark when punctuation sets it off ("12. X", "12) X"), never bare ("12 Angry
Men"), and only in an answer that is numbered from its first line on. What titles also do ("24:
Live Another Day", "(500) Days of Summer", "#9 Dream") is a mark only where it counts on from the
line before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#39|#x27);")
_ENTITIES = {
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&nbsp;": " ",
    "&#39;": "'", "&#x27;": "'",
}  # fmt: skip
# What would hide a list mark from the rules; clean_text decides on the rest.
_INVISIBLE = re.compile("[\0-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|li|ul|ol|p|br|span|div|h[1-6]|td|tr|sup|small|mark)(?: [^<>]*)?/?>",
    re.IGNORECASE,
)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?: \"[^\"]*\")?\)")
_CITATION = re.compile(r"\s*(?:\[\^?\d{1,3}\]|【[^【】]*】)")


def tidy(line: str) -> str:
    """`line` trimmed, with single spaces, without what hides or decorates its words."""
    text = " ".join(line.split())
    if not text.isprintable():
        text = _INVISIBLE.sub("", text).strip()
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: _ENTITIES[entity[0]], text)
    if "<" in text:
        text = _without_tags(text)
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "]" in text or "】" in text:
        text = _without_citations(text)
    return text


def _without_tags(text: str) -> str:
    """Without markup of form; a tag that is all there is behind the list mark is the name."""
    plain = _TAG.sub("", text).strip()
    is_name = not plain.strip("0123456789.)(-*•# ") and (" <" in text or text.startswith("<"))
    return text if is_name else plain


def _without_citations(text: str) -> str:
    """Without `[1]` behind words; in front it is a list mark."""
    return text[:1] + _CITATION.sub("", text[1:]) if _CITATION.match(text) is None else text


_RULE = re.compile(r"(?:[-*_=~] ?){3,}$|[\[\]{}(),;| ]+$|(?:\.{3}|…)$")


def is_structure(text: str) -> bool:
    """Whether a line only structures the answer: rules, fences, brackets."""
    return text.startswith(("```", "~~~")) or _RULE.match(text) is not None


_BULLET = re.compile(
    r"(?:[-*+–—]|->|=>) (?=\S)"
    r"|[•‣▪▫◦●○■□◆◇∙⁃➤➢►▶▸→✓✔☑☐✅✗★☆➜»·] ?(?=\S)"
)
_CHECKBOX = re.compile(r"\[[ xX✓]?\] ?(?=\S)")
_QUOTE_MARK = re.compile(r"(?:> ?)+(?=\S)")
_KEYCAPS = re.compile(r"(?:[0-9]\ufe0f?\u20e3)+ ?|🔟 ?")
_SURE_NUMBER = re.compile(
    r"(?P<number>\d{1,4})(?:(?:[.)]|\.\)|\\\.)(?: |(?=\*\*|__|[\"“«\[]|[^\W\d_]))|[、．）] ?)(?=\S)"
)
_UNSURE_NUMBER = re.compile(
    r"(?:\((?P<a>\d{1,4})\)|\[(?P<b>\d{1,4})\]"
    r"|(?:entry |item |no\.? ?)?[#№]?(?P<c>\d{1,4})(?::| [-–—])) (?=\S)"
    r"|[#№](?P<d>\d{1,4})[.):]? (?=\S)",
    re.IGNORECASE,
)
_LETTER_MARK = re.compile(r"[a-z]\) (?=\S)")
_LABEL = re.compile(r"(?:name|title|entry|item)(?: \d{1,4})?: (?=\S)", re.IGNORECASE)


@dataclass(slots=True)
class Numbering:
    """How far an answer has counted, which tells list marks from numbers of names."""

    lines_before: bool = False
    """Whether an entry came before; the first line alone may start at any number."""
    last: int | None = None
    _last_unsure: int | None = None

    def takes(self, number: int, *, sure: bool) -> bool:
        """Whether `number` at the start of a line is a mark; counts on when it is."""
        counts_on = number == 1 or (self.last is not None and number == self.last + 1)
        if sure:
            counts_on = counts_on or self.last is not None or not self.lines_before
        elif not counts_on:
            counts_on = self._last_unsure is not None and number == self._last_unsure + 1
            self._last_unsure = number
        if counts_on:
            self.last = number
        return counts_on


@dataclass(frozen=True, slots=True)
class MarkedLine:
    text: str
    """The line behind its marks."""
    is_item: bool
    """Whether it had any."""


def split_marks(text: str, numbering: Numbering) -> MarkedLine:
    """Take bullets, checkboxes and one number off the start of a tidy line."""
    start = text
    text = _QUOTE_MARK.sub("", text, count=1) if text.startswith(">") else text
    numbered = False
    for _ in range(4):
        before = text
        for mark in (_BULLET, _CHECKBOX, _KEYCAPS, _LETTER_MARK):
            found = mark.match(text)
            if found is not None:
                text = text[found.end() :]
        if not numbered:
            text, numbered = _without_number(text, numbering)
        if text == before:
            break
    label = _LABEL.match(text)
    if label is not None:
        text = text[label.end() :]
    return MarkedLine(text, is_item=text != start)


def _without_number(text: str, numbering: Numbering) -> tuple[str, bool]:
    opening = next((mark for mark in ("**", "__") if text.startswith(mark)), "")
    found = _SURE_NUMBER.match(text, len(opening))
    sure = found is not None
    if found is None:
        found = _UNSURE_NUMBER.match(text, len(opening))
    if found is None:
        return text, False
    if sure and text[found.end()].islower() and text[found.end() - 1] != " ":
        return text, False  # "3.e4", "7.zip"
    number = int(next(group for group in found.groups() if group is not None))
    if not numbering.takes(number, sure=sure):
        return text, False
    rest = text[found.end() :]
    if opening and rest.startswith(opening):  # "**1.** Louvre"
        return rest[len(opening) :].strip(), True
    return opening + rest, True


_PAIRS = (
    ("***", "***"), ("**", "**"), ("__", "__"), ("~~", "~~"), ("*", "*"), ("_", "_"), ("`", "`"),
    ('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("‘", "’"), ("'", "'"),
    ("「", "」"), ("『", "』"), ("《", "》"),
)  # fmt: skip
_AFTER_NAME = re.compile(
    r"[:;：]|[,.](?: |$)|[-–—―|→=>]+ |—"
    r"|(?:is|was|are|were|has|houses|offers|features|contains|includes|located|which|where) "
)
_CODE = re.compile(r"(?<!\w)`(?=\S)([^`]*)(?<=\S)`(?!\w)")
_SINGLE_STARS = re.compile(r"(?<!\w)\*(?=[^\s*])([^*]*)(?<=\S)\*(?!\w)")


def unwrapped(text: str) -> str:
    """The name inside emphasis or quotes that enclose it, what follows it being a description.

    "**Louvre** – a museum" and "“Louvre”" give "Louvre"; "**Musée** d'Orsay" loses its emphasis
    only, and a quote that is part of a name ("“Heroes” Symphony") stays.
    """
    for _ in range(3):
        inner = _inside_pair(text)
        if inner is None:
            break
        text = inner
    if "*" in text or "`" in text or "__" in text:
        plain = _SINGLE_STARS.sub(r"\1", _without_emphasis(text)).strip()
        text = plain or text
    return text


def _inside_pair(text: str) -> str | None:
    for opening, closing in _PAIRS:
        if not text.startswith(opening):
            continue
        end = text.find(closing, len(opening))
        inner = text[len(opening) : end].strip()
        if end < 0 or not inner:
            continue
        rest = text[end + len(closing) :]
        if not rest:
            return inner
        stripped = rest.strip()
        set_off = rest[0] in " :;,.：—" and _AFTER_NAME.match(stripped) is not None
        if not stripped or set_off or inner.endswith(":"):
            return inner.rstrip(" :")
        if stripped.startswith("(") and opening in ("**", "__", "`"):
            return f"{inner} {stripped}"
        return None
    return None


def _without_emphasis(text: str) -> str:
    if text.count("**") >= 2 or text.startswith("**"):
        text = text.replace("**", "")
    return _CODE.sub(r"\1", text) if "`" in text else text


_DECORATION = re.compile(
    "[\u2190-\u2bff\U0001f000-\U0001faff][\u2190-\u2bff\U0001f000-\U0001faff\ufe0e\ufe0f\u200d]*"
)


def without_decoration(text: str) -> str:
    """Without emoji before or after the name, where a name remains; a flag at the end stays."""
    found = _DECORATION.match(text)
    if found is not None and text[found.end() :].startswith(" "):
        text = text[found.end() + 1 :]
    head, _, last = text.rpartition(" ")
    is_flag = "\U0001f1e6" <= last[:1] <= "\U0001f1ff"
    if head and not is_flag and _DECORATION.fullmatch(last) is not None:
        text = head
    return text


_PARTS_MIN = 5
_CLEAR_PARTS_MIN = 3
_PART_WORDS_MAX = 6
_LIST_SIGNS = ((";", _CLEAR_PARTS_MIN), (" • ", _CLEAR_PARTS_MIN), (" · ", _CLEAR_PARTS_MIN),
               (" | ", _CLEAR_PARTS_MIN), ("、", _CLEAR_PARTS_MIN), (", ", _PARTS_MIN))  # fmt: skip
_LIST_LABEL = re.compile(r"[^,;:]{1,60}: ")
_LAST_PART = re.compile(r"(?:and|or|&) ")
_SPACED_DASH = re.compile(r" [-–—] ")


def comma_list(text: str, *, label_needed: bool = False) -> list[str] | None:
    """The names of a line that is plainly a list: five or more, or three set off by ; or •.

    "Crosby, Stills, Nash & Young" stays a name, and so does a sentence.

    Args:
        label_needed: only a list with a label counts ("Museums: A, B, C, D, E").
    """
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    label = _LIST_LABEL.match(text)
    if label is None and label_needed:
        return None
    body = text if label is None else text[label.end() :]
    for sign, parts_min in _LIST_SIGNS:
        parts = [part.strip() for part in body.split(sign)]
        if not parts[-1]:
            parts.pop()
        if len(parts) >= parts_min and _are_names(parts, lower_allowed=label is None):
            parts[-1] = _LAST_PART.sub("", parts[-1], count=1)
            return parts
    return None


def _are_names(parts: list[str], *, lower_allowed: bool) -> bool:
    if not all(part and len(part.split()) <= _PART_WORDS_MAX for part in parts):
        return False
    if any(_SPACED_DASH.search(part) for part in parts):
        return False
    lower_count = sum(part[0].islower() for part in parts[:-1])
    return lower_count == 0 or (lower_allowed and lower_count == len(parts) - 1)
