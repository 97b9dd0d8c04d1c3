"""When two names are one entry, though their keys (core/normalize.py) differ.

    words.py             a text -> the words, gloss and order that the rest works on
    canonical.py         those words in the form that all their spellings share
    plurals.py           a plural's singular
    respelling.py        other ways to write a text: umlauts, hyphens, dots
    brackets.py          what a gloss says: which of several, or the name once more
    derived_keys.py      further keys of a name that are safe to merge on, each with its rule
    vetoes.py            why two names that look alike are two: numbers, grades, opposites
    structure.py         the same words otherwise arranged, or one name inside another
    sounds.py            how likely two spellings are of one word, by letters
    scripts.py           names of one thing in two scripts
    blocking.py          which few of a million names are worth comparing with a new one
    key_table.py         numbers filed under hashes, in little memory
    nearness.py          what vectors of names say beside their letters, where there are any
    rarity.py            which words of this list tell little
    comparing.py         two names -> same, unsure or different, and the reason
    vocabulary.py, spelling_weights.py   tables

Deciding over a growing list, and groups, is core/resolve.py's.
"""
