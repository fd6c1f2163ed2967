"""X-SAMPA to IPA: the phonemes of an SSML `phoneme` element as a `[[ ]]` block in IPA.

X-SAMPA is written by hand more often than IPA, as it needs only ASCII. The symbols are those of
J. C. Wells, "Computer-coding the IPA" (1995).
"""

from __future__ import annotations

import re

from wyoming_tts.text.markup import MAX_BLOCK_CHARS

_NO_PHONEME_RE = re.compile(r"[\[\]{}<>|]")
"""Would end the block early or be a command to an engine."""
_SPACE_RE = re.compile(r"\s+")

_VOWELS = (
    "i i y y 1 ɨ } ʉ M ɯ u u I ɪ I\\ ᵻ Y ʏ U ʊ e e 2 ø @ ə @\\ ɘ 8 ɵ 7 ɤ o o E ɛ 9 œ 3 ɜ 3\\ ɞ V ʌ O ɔ "
    "{ æ 6 ɐ a a & ɶ A ɑ Q ɒ @` ɚ 3` ɝ"
)
_CONSONANTS = (
    "b b c c d d f f g ɡ h h j j k k l l m m n n p p q q r r s s t t v v w w x x z z B β C ç D ð F ɱ G ɣ "
    "H ɥ J ɲ K ɬ L ʎ N ŋ P ʋ R ʁ S ʃ T θ W ʍ X χ Z ʒ 4 ɾ 5 ɫ ? ʔ ?\\ ʕ B\\ ʙ G\\ ɢ H\\ ʜ h\\ ɦ j\\ ʝ J\\ ɟ "
    "K\\ ɮ L\\ ʟ l\\ ɺ M\\ ɰ N\\ ɴ O\\ ʘ p\\ ɸ r\\ ɹ R\\ ʀ s\\ ɕ v\\ ʋ x\\ ɧ X\\ ħ z\\ ʑ d` ɖ l` ɭ n` ɳ r` ɽ "
    "r\\` ɻ s` ʂ t` ʈ z` ʐ"
)
_MARKS = (
    "\" ˈ % ˌ : ː :\\ ˑ . . ' ʲ _j ʲ _h ʰ _w ʷ ` ˞ "
    "~ \u0303 _~ \u0303 _0 \u0325 = \u0329 _= \u0329 _^ \u032f _d \u032a"
)
_SIGNS = f"{_VOWELS} {_CONSONANTS} {_MARKS}".split()
_X_SAMPA = dict(zip(_SIGNS[::2], _SIGNS[1::2], strict=True)) | {"-": "", "_": "", " ": " "}
_X_SAMPA_RE = re.compile("|".join(re.escape(sign) for sign in sorted(_X_SAMPA, key=len, reverse=True)))


def parse_phonemes(ph: str, alphabet: str) -> str | None:
    """The phoneme block, or None if the alphabet or one of the symbols is unknown.

    Args:
        ph: the element's `ph`.
        alphabet: the element's; empty is the processor's own by the W3C, here IPA.
    """
    known = alphabet.strip().lower()
    if known in {"", "ipa"}:
        return _block(ph.strip().strip("/"))
    if known in {"x-sampa", "xsampa"}:
        return _block(_from_x_sampa(ph.strip()))
    return None


def _block(ipa: str | None) -> str | None:
    folded = _SPACE_RE.sub(" ", ipa or "").strip()
    block = f"[[ {folded} ]]"
    if not folded or _NO_PHONEME_RE.search(folded) or len(block) > MAX_BLOCK_CHARS:
        return None
    return block


def _from_x_sampa(written: str) -> str | None:
    signs = _X_SAMPA_RE.findall(written)
    if sum(map(len, signs)) != len(written):
        return None
    return "".join(_X_SAMPA[sign] for sign in signs)
