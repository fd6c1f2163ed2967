r"""TeX formulas: `$x^2$`, `\(\frac{a}{b}\)` and `\[ … \]` are said plainly: "x squared", "a over b".

A formula is recognized by what it consists of: single letters, numbers, signs and commands. Two letters
behind a number or a letter and a space are prose, so the `$` in "$5 and $10" is known to be money after a
few characters. The words are those of the language's data; what it has no word for stays a sign, which the
engine may know.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import regex  # type: ignore[import-untyped]  # partial matches and possessive quantifiers

_LETTER = r"[A-Za-zͰ-Ͽ]"
_FUNCTIONS = (
    *("arcsin", "arccos", "arctan", "sin", "cos", "tan", "cot", "log", "ln", "exp"),
    *("lim", "max", "min", "mod", "det", "gcd"),
)
_FUNCTION = rf"(?:{'|'.join(_FUNCTIONS)})(?!{_LETTER})"
_DIFFERENTIAL = rf"d[xyztrsuvθ](?!{_LETTER})"
_TEXTS = "text textbf textit textrm mathrm mathbf mathit mathsf operatorname mbox ce"
_UNSPOKEN_ARGUMENTS = "begin end label tag hspace vspace color"
_WITH_TEXT = rf"\\(?:{'|'.join(f'{_TEXTS} {_UNSPOKEN_ARGUMENTS}'.split())})\*?\ ?\{{[^{{}}$\n]{{0,100}}+\}}"
_TOKEN = (
    rf"(?:{_WITH_TEXT}|\\(?:[A-Za-z]{{1,30}}+\*?|[^A-Za-z\s()\[\]])"
    rf"|(?<![.!?]\s{{1,3}})(?:{_FUNCTION}|{_DIFFERENTIAL}|{_LETTER}(?!{_LETTER})"
    rf"|(?<![\p{{L}}\p{{N}})}},;:]\s{{1,3}}){_LETTER}{{2,3}}+(?!{_LETTER}))"
    r"|\d{1,20}+|[-+*/=<>^_{}()|.,:;!'&~%\[\]−±×÷·≤≥≠≈∞→√²³°…])"
)


@cache
def dollar_pattern() -> regex.Pattern[str]:
    """A formula between dollars or pairs of them, with the character that follows.

    Compiled when the first text needs it: that takes as long as all other patterns of the front end together.
    """
    return regex.compile(
        rf"\$(?:(?P<tex>{_TOKEN}(?:[ \t]{{0,3}}+{_TOKEN}){{0,200}}+)\$(?P<next>[^\p{{L}}\p{{N}}$])"
        rf"|\$(?!\s?{_LETTER}{{2}})\s{{0,5}}+(?P<tex>{_TOKEN}(?:\s{{0,5}}+{_TOKEN}){{0,400}}+)"
        r"\s{0,5}+\$\$(?P<next>[^$]))"
    )


@cache
def backslash_pattern() -> regex.Pattern[str]:
    """A formula between a backslash and a bracket on either side; compiled as `dollar_pattern` is."""
    return regex.compile(
        rf"\\(?:\(\s{{0,5}}+(?P<tex>{_TOKEN}(?:\s{{0,5}}+{_TOKEN}){{0,400}}+)\s{{0,5}}+\\\)"
        rf"|\[(?!\d{{1,3}}\\)\s{{0,5}}+(?P<tex>{_TOKEN}(?:\s{{0,5}}+{_TOKEN}){{0,400}}+)\s{{0,5}}+\\\])"
    )


AMOUNT_RE = regex.compile(r"\$\d[\d.,]*[^\S\n]*")
"""What is money unless a formula goes on behind it."""

_TOKEN_RE = regex.compile(rf"{_WITH_TEXT}|\\[A-Za-z]+\*?|\\.|\d+(?:,\d{{3}}|٫\d+)*(?:\.\d+)?|{_FUNCTION}|\S")
_OPERATORS: Mapping[str, str] = {
    **dict.fromkeys(["+"], "plus"),
    **dict.fromkeys(["-", "−"], "minus"),
    **dict.fromkeys(["±", "\\pm", "\\mp"], "plus_minus"),
    **dict.fromkeys(["*", "×", "·", "\\times", "\\cdot", "\\ast"], "times"),
    **dict.fromkeys(["÷", "\\div"], "divided"),
    **dict.fromkeys(["/", "\\over"], "over"),
    **dict.fromkeys(["=", "\\equiv"], "equals"),
    **dict.fromkeys(["<", "\\lt"], "less"),
    **dict.fromkeys([">", "\\gt"], "greater"),
    **dict.fromkeys(["≤", "\\le", "\\leq", "\\leqslant"], "at_most"),
    **dict.fromkeys(["≥", "\\ge", "\\geq", "\\geqslant"], "at_least"),
    **dict.fromkeys(["≠", "\\ne", "\\neq"], "not_equal"),
    **dict.fromkeys(["≈", "\\approx", "\\simeq", "\\sim", "\\cong"], "almost"),
    **dict.fromkeys(["→", "\\to", "\\rightarrow", "\\longrightarrow", "\\mapsto"], "arrow"),
    **dict.fromkeys(["√"], "root"),
}
_SIGNS: Mapping[str, str] = {
    "plus": "+",
    "minus": "−",
    "plus_minus": "±",
    "times": "×",
    "divided": "÷",
    "over": "/",
    "equals": "=",
    "less": "<",
    "greater": ">",
    "at_most": "≤",
    "at_least": "≥",
    "not_equal": "≠",
    "almost": "≈",
    "arrow": "→",
    "root": "√",
    "degrees": "°",
    "infty": "∞",
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "in": "∈",
    "notin": "∉",
    "subset": "⊂",
    "subseteq": "⊆",
    "cup": "∪",
    "cap": "∩",
    "forall": "∀",
    "exists": "∃",
    "partial": "∂",
    "nabla": "∇",
    "implies": "⇒",
    "iff": "⇔",
    "'": "′",
    "!": "!",
}
"""Of words that a language may lack."""
_SAME: Mapping[str, str] = {
    **dict.fromkeys(["dfrac", "tfrac", "cfrac"], "frac"),
    **dict.fromkeys(["dbinom", "tbinom"], "binom"),
    **dict.fromkeys(["iint", "oint"], "int"),
    "Rightarrow": "implies",
    "Leftrightarrow": "iff",
    "prime": "'",
    "varepsilon": "epsilon",
    "vartheta": "theta",
    "varphi": "phi",
}
"""Commands that are said as others."""
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NO_SPACE_RE = regex.compile(r"(?<=\()\s|\s(?=[),.;:^⁰¹²³⁴⁵⁶⁷⁸⁹])")
_REPEATED_COMMA_RE = regex.compile(r",(?:\s*,)+")
_DECIMAL_COMMA = "٫"
"""Stands for `{,}`, which is no separator of a list."""
_PAUSES: Mapping[str, str] = {"\\\\": ",", ",": ",", ";": ";", ":": ":", ".": ".", "…": ","}
_DOTS = frozenset({"ldots", "dots", "cdots", "vdots", "dotsc", "dotsb"})
_WITH_LIMITS = frozenset({"sum", "prod", "int", "lim", "max", "min"})
_CALLED = frozenset("fghFGHP")
"""Letters that name a function where a bracket follows."""
_MAX_DEPTH = 20


def _nothing(number: str) -> str:
    return number


@dataclass(frozen=True, slots=True)
class TexWords:
    """What a language calls the parts of a formula; empty: signs and figures stay."""

    signs: Mapping[str, str] = field(default_factory=dict)
    """The `words` of its data."""
    exponents: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    """The `tex` of its data: words for commands, by their names."""
    number: Callable[[str], str] = field(default=_nothing)
    """Returns a number in words."""


NO_WORDS = TexWords()


def speak_formula(tex: str, words: TexWords) -> str:
    """Return a formula, without what delimits it, as it is said."""
    spoken = " ".join(_FormulaReader(tex.replace("{,}", _DECIMAL_COMMA), words).read())
    tight: str = _NO_SPACE_RE.sub("", spoken)
    return str(_REPEATED_COMMA_RE.sub(",", tight)).strip(" ,")


class _FormulaReader:
    """Reads the tokens of a formula once, from left to right."""

    def __init__(self, tex: str, words: TexWords) -> None:
        self._tokens = _TOKEN_RE.findall(tex)
        self._at = 0
        self._depth = 0
        self._words = words

    def read(self, until: str = "") -> list[str]:
        """Read up to this part, which is passed over, or to the end."""
        spoken: list[str] = []
        while part := self._next():
            if part == until:
                break
            spoken += self._item(part)
        return [word for word in spoken if word]

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        part = self._peek()
        self._at += 1
        return part

    def _item(self, part: str) -> list[str]:
        """Read a symbol or group with its scripts."""
        name = self._name(part)
        if name in _WITH_LIMITS:
            return self._with_limits(name)
        spoken = self._base(part, name)
        while (script := self._peek()) in ("_", "^", "'", "!") and script:
            self._at += 1
            spoken += self._script(script)
        if (part in _CALLED or name in _FUNCTIONS) and self._peek() == "(" and self._word("of"):
            self._at += 1
            spoken += [self._word("of"), *self._nested(")")]
        return spoken

    def _name(self, part: str) -> str:
        """The name of a command or a function that is no operator; empty for anything else."""
        if part in _OPERATORS:
            return ""
        name = part.lstrip("\\").rstrip("*")
        is_named = len(name) > 1 and name.isalpha()
        return _SAME.get(name, name) if is_named else ""

    def _base(self, part: str, name: str) -> list[str]:
        if part == "{":
            return self._group()
        if name:
            return self._command(name)
        if len(part) > len("\\{") and part.endswith("}"):
            return [self._text(part)]
        return self._symbol(part)

    def _symbol(self, part: str) -> list[str]:
        if operator := _OPERATORS.get(part):
            return [self._sign(operator)]
        if part[0].isdecimal():
            return [self._words.number(part.replace(_DECIMAL_COMMA, ","))]
        if part in _PAUSES or part in "()":
            return [_PAUSES.get(part, part)]
        symbol = part.lstrip("\\")
        return [symbol] if symbol.isalpha() or symbol in "%$#&°²³∞" else []

    def _command(self, name: str) -> list[str]:
        match name:
            case "frac":
                return self._fraction()
            case "binom":
                return [*self._argument(), self._called("binom"), *self._argument()]
            case "sqrt":
                return self._root()
        if name in _DOTS:
            return [","]
        called = self._called(name)
        return [called] if called else []

    def _fraction(self) -> list[str]:
        above, below = self._raw_digit() or self._raw(), self._raw_digit() or self._raw()
        if above.isdecimal() and below.isdecimal():
            return [self._words.number(f"{above}/{below}")]
        return [*self._reread(above), self._sign("over"), *self._reread(below)]

    def _root(self) -> list[str]:
        degree = ""
        if self._peek() == "[":
            self._at += 1
            degree = " ".join(self._nested("]"))
        named = self._words.commands.get("sqrt3") if degree == self._words.number("3") else ""
        general = self._words.commands.get("sqrtn", "").format(degree=degree) if degree else ""
        return [named or general or self._sign("root"), *self._argument()]

    def _with_limits(self, name: str) -> list[str]:
        """A sum, an integral or a limit: "the sum from i equals 1 to n of"."""
        limits = {"_": "", "^": ""}
        while self._peek() in (*limits, "\\limits"):
            if (script := self._next()) in limits:
                limits[script] = " ".join(self._argument())
        lower, upper = limits["_"], limits["^"]
        if name == "lim" and (approaches := self._words.commands.get("approaches")):
            lower = lower.replace(f" {self._sign('arrow')} ", f" {approaches} ")
        spoken = [self._called(name)]
        if lower:
            spoken += [self._word("as" if name == "lim" else "from"), lower]
        if upper:
            spoken += [self._word("range"), upper]
        return [*spoken, self._word("of")]

    def _script(self, script: str) -> list[str]:
        if script == "^":
            return [self._superscript(self._raw())]
        argument = self._argument() if script == "_" else []
        return [self._called(script), *argument]

    def _superscript(self, raw: str) -> str:
        if raw in ("\\circ", "\\degree"):
            return self._sign("degrees")
        if raw in ("'", "\\prime"):
            return self._called("'")
        if named := self._words.exponents.get(raw) or self._words.commands.get(f"^{raw}"):
            return named
        power, exponent = self._word("power"), " ".join(self._reread(raw))
        if power:
            return power.format(exponent=exponent)
        return raw.translate(_SUPERSCRIPTS) if raw.isdecimal() else f"^{exponent}"

    def _argument(self) -> list[str]:
        """What a command or script applies to: a group or a single part."""
        return self._reread(self._raw())

    def _raw_digit(self) -> str:
        """A digit that is an argument without braces, as both of `frac12`; empty if there is none."""
        digits = self._peek()
        if not digits.isdecimal():
            return ""
        self._tokens[self._at : self._at + 1] = [digits[0], *([digits[1:]] if digits[1:] else [])]
        return self._next()

    def _raw(self) -> str:
        """The source of an argument, without its braces."""
        part = self._next()
        if part != "{":
            return part
        depth, start = 1, self._at
        while depth and (part := self._next()):
            depth += (part == "{") - (part == "}")
        return " ".join(self._tokens[start : self._at - 1])

    def _reread(self, raw: str) -> list[str]:
        if self._depth >= _MAX_DEPTH:
            return [raw]
        reader = _FormulaReader(raw, self._words)
        reader._depth = self._depth + 1
        return reader.read()

    def _group(self) -> list[str]:
        return self._nested("}")

    def _nested(self, until: str) -> list[str]:
        if self._depth >= _MAX_DEPTH:
            return []
        self._depth += 1
        spoken = self.read(until)
        self._depth -= 1
        return spoken

    def _text(self, part: str) -> str:
        command, _, text = part[:-1].partition("{")
        return "" if command.strip("\\* ") in _UNSPOKEN_ARGUMENTS.split() else text.strip()

    def _word(self, key: str) -> str:
        return self._words.signs.get(key) or self._words.commands.get(key) or ""

    def _sign(self, key: str) -> str:
        return self._word(key) or _SIGNS[key]

    def _called(self, name: str) -> str:
        """What a command is called: by the language, else its sign, else its name if it is a function's."""
        if called := self._words.commands.get(name):
            return called
        if name in _SIGNS:
            return _SIGNS[name]
        if letter := _greek(name):
            return name if self._words.commands else letter
        return name if name in _FUNCTIONS else ""


def _greek(name: str) -> str:
    """The Greek letter of this name; empty if there is none."""
    case = "CAPITAL" if name[:1].isupper() else "SMALL"
    spelled = {"lambda": "LAMDA"}.get(name.lower(), name.upper())
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {spelled}")
    except KeyError:
        return ""
