"""Letters that stand for themselves, by their names: the A of "option A" is no article.

A lone letter that is a word of the language is read as that word, so the letter is respelled by its name
where its neighbours show what it is. The engine skips what is more than three times the same letter; a comma
after each third keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from wyoming_tts.text.pronunciation.tokens import END, PAUSE, START, Respelling, Token

_RUN = 3
"""So many letters in a row spell something; and the engine says no more of the same."""
_SHORT = (2, 3)
"""Letters of a capitalized word that is spelled beside "& T"."""
_CLOSERS = ",;:)]}”»"
_QUOTES = "\"'“”„‘’«»"


@dataclass(frozen=True, slots=True)
class LetterRules:
    """The letters of one language, and the words beside which they are letters."""

    names: Mapping[str, str]
    """Of those letters, in lower case, that an engine reads as something else."""
    after: frozenset[str] = frozenset()
    """Words, such as "option"."""
    after_unless_title: frozenset[str] = frozenset()
    """Words that may be verbs, as in "Plan A Trip"."""
    between: frozenset[str] = frozenset()
    """Words between two letters, such as "or"."""
    before: frozenset[str] = frozenset()
    """Words, such as "is", before which a capital is a letter."""
    before_end: frozenset[str] = frozenset()
    """The same, at the end of a sentence or behind `keys`: "A minus", "in A minor"."""
    keys: frozenset[str] = frozenset()
    behind: frozenset[str] = frozenset()
    """Words behind which a capital is a letter, such as "an"."""

    @classmethod
    def of_section(cls, data: Mapping[str, Any]) -> Self:
        """Take a language's section of `letters.yaml`."""
        sets = {key: frozenset(words) for key, words in data.items() if key != "names"}
        return cls(names=data.get("names") or {}, **sets)

    def find(self, tokens: Sequence[Token]) -> Iterator[Respelling]:
        """The respellings of single letters, and of capitals beside one: "AT and T"."""
        same = 0
        for at, token in enumerate(tokens):
            said = self._letter(tokens, at) if _is_letter(token) else self._capitals(tokens, at)
            same = same + 1 if at and token.key == tokens[at - 1].key else 1
            if same % _RUN == 0 and _is_letter(token) and tokens[at + 1].key == token.key:
                said += ","
            if said != token.written:
                yield Respelling(token.start, token.end, said)

    def _letter(self, tokens: Sequence[Token], at: int) -> str:
        token = tokens[at]
        name = self.names.get(token.key)
        return _at_start(tokens, at, name) if name and self._is_meant(tokens, at) else token.written

    def _capitals(self, tokens: Sequence[Token], at: int) -> str:
        """A short word in capitals, spelled if it is joined to a letter, or is one letter repeated: "AA"."""
        token = tokens[at]
        if not token.written.isupper() or len(token.key) not in _SHORT:
            return token.written
        repeated = token.key == token.key[0] * len(token.key) and token.key[0] in self.names
        if not repeated and not self._is_joined(tokens, at):
            return token.written
        spelled = " ".join(self.names.get(letter.lower(), letter) for letter in token.written)
        return _at_start(tokens, at, spelled)

    def _is_meant(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether the letter is a letter, and not the word of that spelling."""
        if "-" in (tokens[at - 1].key, tokens[at + 1].key):
            return False
        if _run(tokens, at) >= _RUN or self._is_joined(tokens, at):
            return True
        if tokens[at + 1].written == ")":
            return True
        capital = tokens[at].written.isupper()
        return self._is_after(tokens, at) or (capital and self._is_capital_letter(tokens, at))

    def _is_after(self, tokens: Sequence[Token], at: int) -> bool:
        before, token, after = tokens[at - 1 : at + 2]
        if before.key not in self.after | self.after_unless_title:
            return False
        if not token.written.isupper():
            return after.key in self.between | {END, PAUSE}
        return before.key in self.after or not after.written[:1].isupper()

    def _is_joined(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether another letter, in the same case, is beyond an "or"; "I or a friend" has none."""
        capital = tokens[at].written.isupper()
        for step in (1, -1):
            joint, other = at + step, at + 2 * step
            if not 0 < other < len(tokens) - 1:
                continue
            same_case = tokens[other].written.isupper() == capital
            if tokens[joint].key in self.between and _is_letter(tokens[other]) and same_case:
                return True
        return False

    def _is_capital_letter(self, tokens: Sequence[Token], at: int) -> bool:
        before, _, after = tokens[at - 1 : at + 2]
        first = before.key == START
        if _closes(tokens, at + 1):
            return True
        if after.written in _QUOTES and after.written:
            return before.written in _QUOTES and bool(before.written)
        if after.key in self.before or before.key in self.behind:
            return True
        if after.key in self.before_end:
            return before.key in self.keys or _closes(tokens, at + 2)
        small = before.written.islower() or (before.is_word and tokens[at - 2].key == START)
        in_small_letters = small and not after.written[:1].isupper()
        return not first and (in_small_letters or _run(tokens, at) > 1)


def _is_letter(token: Token) -> bool:
    return len(token.key) == 1 and token.key.isalpha()


def _at_start(tokens: Sequence[Token], at: int, said: str) -> str:
    """The name, with a capital at the start of a sentence."""
    return said[:1].upper() + said[1:] if tokens[at - 1].key == START else said


def _closes(tokens: Sequence[Token], at: int) -> bool:
    """Whether a clause ends here."""
    return at < len(tokens) and (tokens[at].key == END or tokens[at].written in tuple(_CLOSERS))


def _run(tokens: Sequence[Token], at: int) -> int:
    """The count of single letters in a row, all in the same case, of which this is one."""
    case = tokens[at].written.isupper()
    count = 1
    for step in (-1, 1):
        other = at + step
        while _is_letter(tokens[other]) and tokens[other].written.isupper() == case and count < _RUN:
            count += 1
            other += step
    return count
