"""Which lines of an answer talk to the reader instead of naming an entry.

Names look like talk ("I Am Legend", "Here Comes the Sun", "Sure Thing", "No More Heroes"), so a
pattern asks for more than its first words: sentence case, where a title would have capitals, the
noun that such remarks are about, or the punctuation of a sentence. Where it stays open, the line
is taken for a name: a stray remark in the list is seen, a lost entry is not.

English only; other languages' introductions are caught where they end in a colon (line_rules.py).
"""

from __future__ import annotations

import re

from mesh.llm.findings import RemarkKind

_REMARK_CHARACTERS_MAX = 600
"""A longer line is no remark by its words; it may be prose."""

_PROSE_WORDS_MIN = 8
_PROSE_LOWER_SHARE = 0.5
_SENTENCE_ENDS = (".", "!", "?", ".”", '."', ".)")


def _any_of(*patterns: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)


_NOUN = (
    r"(?:entr(?:y|ies)|items?|names?|examples?|options?|suggestions?|additions?|results?|ones?"
    r"|attractions?|places?|facets?|left|known|exists?|remain(?:s|ing)?|that I|I (?:can|know|am)"
    r"|to (?:add|list|report|offer))"
)
_EXHAUSTED = _any_of(
    r"(?:(?:I'm |I am )?sorry,? (?:but )?)?"
    r"(?:there (?:are|is) |I have |I've got |I know (?:of )?|I can (?:think of|find|add) )?"
    rf"no (?:further|more|additional|other|new|remaining)\b.{{0,80}}?\b{_NOUN}\b",
    r"(?:sorry,? )?(?:but )?I "
    r"(?:cannot|can't|can not|could not|couldn't|am unable to|do not|don't) "
    r"(?:think of|find|come up with|identify|add|list|know(?: of)?|have|recall|provide) "
    r"any(?:thing)? (?:more|others?|further|additional|new|else)\b",
    r"(?:I have|I've) (?:now )?(?:listed|exhausted|covered|named|given) (?:all|every(?:thing)?)\b",
    r"(?:I have|I've) (?:now )?run out\b",
    r"(?:the|this|your|my) list (?:is|appears|seems|looks) (?:to be |now |already )*"
    r"(?:complete|exhausted|exhaustive)\b",
    r"(?:all|every)\b.{0,60}?\b(?:have|has|are|is) (?:already |now )*(?:been )?"
    r"(?:listed|covered|included|named|mentioned)\b",
    r"nothing (?:left|more|further|else|new) (?:to|left|remains|comes)\b",
    r"that(?:'s| is) (?:all|everything) (?:that )?(?:I|there|we)\b",
    r"none[.!]$|(?:none|nothing) (?:left|remaining|further|more)[.!]?$",
    r"n/a[.!]?$",
    flags=re.IGNORECASE,
)
# Whatever the noun: "No more Paris museums."
_EXHAUSTED_SENTENCE = re.compile(r"No (?:further|more|additional|other) [^.]{1,60}\.$")

_REFUSAL = _any_of(
    r"(?:I'm|I am) (?:(?:very|so|truly|really) )?sorry\b(?:[,.]| but\b| I\b| that\b|$)",
    r"(?:I'm|I am) (?:unable to|not able to|afraid (?:I|that)\b)",
    r"(?:Sorry|Apologies|Unfortunately|Regrettably|I apologi[sz]e)\b.{0,80}?"
    r"\b(?:can't|cannot|can not|unable|not able|won't|don't)\b",
    r"I (?:can't|cannot|can not|won't|will not|must decline to|do not|don't) "
    r"(?:help (?:you|with)|assist|provide|comply|do (?:that|this|so)|continue|list|generate|fulfil"
    r"|create|share|answer|engage|discuss|have (?:access|information|enough))",
    r"As an? (?:AI|artificial|large language|language) ",
)

_CHATTER = _any_of(
    # Greetings.
    r"(?:[Ss]ure|[Cc]ertainly|[Oo]f course|[Aa]bsolutely|[Gg]ladly|[Uu]nderstood|[Gg]ot it)"
    r"(?:[!.]|[,:]?$|, (?:here|I|let|the) | thing[!.,])",
    r"(?:Okay|OK|Ok|Great|Alright|All right|Yes|Perfect|Happy to help)"
    r"[!.,] (?:[Hh]ere|I|[Ll]et|[Bb]elow)\b",
    r"Happy to help\b|No problem[!.,]|My pleasure[!.]",
    # Introductions.
    r"[Hh]ere(?: (?:is|are)|'s|’s)\b(?:.*:$| (?:an?|the|your|my|some|more|another|what|\d+|up|all"
    r"|further|additional|other|few)\b|$)",
    r"(?:Below|These|This|Those|The following|The (?:list|entries|items|names)(?: above| below)?)"
    r" (?:list |entries |items |names )?(?:is|are|was|were|has|have|includes?|contains?|covers?"
    r"|should|may|might|represents?|follow)\b(?:.*[.:!]$|(?: \S+){5})",
    # The model about itself.
    r"I (?:hope|could|would|will|have|tried|listed|avoided|apologi[sz]e|can|did|made|kept|excluded"
    r"|included|omitted|left|skipped|focused|do|don't|am|was|need|want|also|think|believe)\b"
    r".*[.:!?]$",
    r"I hope |Hope (?:this|that|these|it)\b|I'(?:ve|ll|d|m) .*[.:!]$",
    # Offers and notes.
    r"Let me know\b(?: if\b| whether\b| when\b|.*[.!]$)|Let's .*[.:!]$",
    r"Feel free to\b|Please (?:note|let me|feel|keep|provide|specify|be aware)\b",
    r"Note(?:: | that ).*[.!]$|Note: |N\.?B\.?:? .*[.]$",
    r"If you(?:'d|'re| would| want| need| have| like| are)\b.*[.!?:]$",
    r"(?:Would you|Do you|Shall I|Should I|Can I|May I|Is there anything)\b.*\?$",
    r"(?:Enjoy|Done|Happy exploring|Good luck|Thanks|Thank you|You're welcome|Best regards)"
    r"(?: your\b.*)?[!.,]$",
    r"(?:Keep in mind|Remember|As requested|As you (?:asked|requested)|In (?:summary|conclusion"
    r"|addition|total)|To (?:summarize|sum up)|Overall|Additionally|Finally|Based on|Looking at"
    r"|According to)(?:, | (?:that|the|your|my|what) ).*[.:!]$",
    # Book-keeping.
    r"(?:Total|Count|Total (?:entries|items|count)|Number of (?:entries|items)): ?\d+\b",
    r"That(?:'s| is| makes)\b.*\b(?:entries|items|names|list)\b",
    r"(?:[Ee]nd of (?:the )?(?:list|answer|entries|known entries)|END OF LIST|continued|cont"
    r"|and (?:so on|more)|etc)[.… ]*$",
    r"(?:Known|Further|More|Additional|New|Other|Next|Final) entries[:.]?$",
)


def remark_kind(text: str, *, listed: bool) -> RemarkKind | None:
    """What `text`, one line without marks, says to the reader; None: it may be an entry.

    Args:
        listed: it was an item of a list (marked or quoted), so that chatter is ruled out.
    """
    if len(text) > _REMARK_CHARACTERS_MAX:
        return RemarkKind.CHATTER if not listed and is_prose(text) else None
    plain = text.replace("’", "'").strip("*_ `()[]")
    if _EXHAUSTED_SENTENCE.match(plain):
        return RemarkKind.EXHAUSTED
    if _EXHAUSTED.match(plain) and not _is_title(plain):
        return RemarkKind.EXHAUSTED
    if _REFUSAL.match(plain):
        return RemarkKind.REFUSAL
    if not listed and (_CHATTER.match(plain) or is_prose(text)):
        return RemarkKind.CHATTER
    return None


def _is_title(text: str) -> bool:
    """Whether its words have capitals, as in "No Other Name"; "No More Entries" is none."""
    words = [word for word in text.split() if len(word) > 3]
    return (
        len(words) > 1
        and all(word[0].isupper() for word in words)
        and "entries" not in text.lower()
    )


def is_prose(text: str, *, words_min: int = _PROSE_WORDS_MIN) -> bool:
    """Whether `text` is a whole sentence in sentence case, which titles seldom are."""
    if not text.endswith(_SENTENCE_ENDS):
        return False
    words = text.split()
    lower_count = sum(word[0].islower() for word in words)
    return len(words) >= words_min and lower_count >= _PROSE_LOWER_SHARE * len(words)
