from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import count_lines
from tests.support.yaml_data import expand_texts, load_data_beside
from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner

DEFAULT = CleanupOptions()


def clean(*pieces: str, options: CleanupOptions = DEFAULT) -> str:
    cleaner = TextCleaner(options)
    found = [piece for text in pieces for piece in cleaner.feed(text)] + cleaner.finish()
    return "".join(piece.text for piece in found)


TABLE: list[tuple[str, str | None]] = [
    ("**bold** and *italic*, __strong__ _slanted_", "bold and italic, strong slanted"),
    ("~~gone~~ ***both*** **_nested_**", "gone both nested"),
    ("**5** degrees, **Note:** (*so*)", "5 degrees, Note: (so)"),
    ("**unclosed and *more", "unclosed and more"),
    ("foo*note 4* hotel", "foonote 4 hotel"),
    ("*" * 1000, ""),
    ("5 * 3 is 15, 2*3 is 6, a * b, 2**3", "5 × 3 is 15, 2×3 is 6, a × b, 2^3"),
    ("snake_case a_b __init__ sensor.front_door", "snake_case a_b init sensor.front_door"),
    ("C# is #1, ~20, #tag", "C# is #1, ~20, #tag"),
    ("x < 3 and y > 2, 3 > 2, a<b, x<y>z", "x < 3 and y > 2, 3 > 2, a<b, x<y>z"),
    ("am 1. Mai und\n1. Mai", "am 1. Mai und 1. Mai"),
    ("# Weather\nIt rains", "Weather. It rains"),
    ("## What now? ##\nGo", "What now? Go"),
    ("### Ends #\n\nText", "Ends.\n\nText"),
    ("Title\n=====\nText", "Title.\n\nText"),
    ("Buy:\n- Milk\n- Eggs!\n* Tea\n+ Jam\n• Figs", "Buy: Milk. Eggs! Tea. Jam. Figs."),
    ("- Milk\n  and eggs\n- Tea\nThat is all", "Milk and eggs. Tea. That is all"),
    ("- a\n  - b\n\n- c", "a. b.\n\nc."),
    ("1. Milk\n2) Eggs", "1: Milk. 2: Eggs."),
    ("- [ ] wash\n- [x] iron", "wash. iron."),
    ("-5 degrees\n- 5 degrees", "-5 degrees. 5 degrees."),
    ("> quoted\n>> twice\n>20", "quoted twice\n>20"),
    ("one\n\n---\n\ntwo\n* * *\nthree", "one.\n\ntwo.\n\nthree"),
    ("***bold*** start", "bold start"),
    ("| A | B |\n|---|:-:|\n| 1 | **2** |\nend", "A, B. 1, 2. end"),
    ("A | B\n--- | ---\n1 | 2", "A, B. 1, 2"),
    ('[the *site*](https://x.com/a_b "title") here', "the site here"),
    ("![a cat](cat.png) [![b](i.png)](u) [c](http://x/a(b)c)", "a cat b c"),
    ("see [text][1] and [text][]\n\n[1]: https://x.com 'title'\nend", "see text and text\n\nend"),
    ("a[0][1] [1] [not a link] (really)", "a[0][1] [1] [not a link] (really)"),
    ("<https://x.org/_a_> <me@x.org>", "https://x.org/_a_ me@x.org"),
    ("run `rm *.txt` or ``x_`` and `<div>`", "run rm *.txt or x_ and <div>"),
    ("it`s an `open tick", "it's an open tick"),
    ("so[^1] it is【4†source】\n\n[^1]: A note", "so it is.\n\nA note."),
    ("\\*not bold\\* 1\\. C:\\temp", "*not bold* 1. C:\\temp"),
    ("Hello! ![x](y)", "Hello! x"),
    ("[[ ˈxy ]] *y*", "[[ ˈxy ]] y"),
    ("See [[Main Page]], [[kitchen]] and [[a page|the *label*]]", "See Main Page, kitchen and the label"),
    ("[[File:x.png|thumb|A cat]] ![[cat.png]] [[:Page#Top]]", "A cat cat.png Page Top"),
    ("if [[ -f x ]] or [[[a]]]", "if -f x or [a]"),
    ("[[1, 2], [3, 4]]", "[[1, 2], [3, 4]]"),
    ("[Kokoro](/kˈOkəɹO/) [about](/about/) [x](/ɐ/)", "[[ kˈoʊkəɹoʊ ]] about [[ ɐ ]]"),
    ("Paris[1] is big.[2][3] It[12, 14-16] has,[a] he said[note 1].", "Paris is big. It has, he said."),
    ('in 1889[1], "so"[2] (Paris)[3] 5 %[4] 巴黎[5]是', 'in 1889, "so" (Paris) 5 % 巴黎是'),
    ("so[citation needed]. Then", "so. Then"),
    ("choose [1] or [2]. Press [a].", "choose [1] or [2]. Press [a]."),
    ("a[0] arr[1] = 5, list[2], foo[3].bar my_x[2], x[1], d[0], o.items[1]", None),
    ("foo[1] = 5, foo[1]x and foo[1] + 2", None),
    ("1889.[[1]](https://x.com/a) Paris [2](https://x.com), [3](#three)", "1889. Paris, 3"),
    ("Then\ue200cite\ue202turn0search1\ue201.", "Then."),
    ("\x1b[1;31mError\x1b[0m: \x9b4mbad\x1b]0;title\x07 \x1b(Bx", "Error: bad x"),
    ("\\033[1mBold\\x1b[0m \\e[32mok \\u001b[mx", "Bold ok x"),
    ("[31mError[0m, [1;31mbad, [5m] and [31min", "Error, bad, [5m] and [31min"),
    ("Great :) See :-( or ;) :D, :P x. Bye.:)", "Great See or, x. Bye."),
    (
        "Note: :)\nNote :) (see :) a:) b :b; x :30, :3.5 5:3 =) =5",
        "Note: Note (see a:) b :b; x :30, :3.5 5:3 =5",
    ),
    ("I <3 you <3\nThanks <3! Bye <3", "I love you\nThanks! Bye"),
    ("x <3, values <3 are low, <3 °C <3 % so, pH is <3", None),
    ("Thanks ✓ ☐ ★ ► <3 :) Bye 😀 <3 <3 :)", "Thanks Bye"),
    ("✓ Done\n✗ failed\n☐ milk\n☑\ufe0f eggs\n► go", "Done. failed. milk. eggs. go."),
    ("a ✓ b ★★☆ 5★ ♪, ► ─── ▲ 2 %", "a b 5, 2 %"),
    ("B♭ C♯ §5 ↑ 3 → 4 № 5 ℃", None),
    ("① One ❷ two ⑴ ⓐ x", "1 One 2 two 1 a x"),
    ("costs \\$5", "costs $5"),
    ("```\n[[ x ]]\n```\nend", "end"),
    ("See:\n```python\nx = *3*\n```\nend", "See:\n\nend"),
    ("~~~\n```\n~~~\nend\n```\nnever closed", "end."),
    ("- スープ\n- お茶", "スープ。 お茶。"),
    ("https://x.com/a_b_/~me/*x*?a=1&copy=2 ok", "https://x.com/a_b_/~me/*x*?a=1&copy=2 ok"),
    ("**https://x.com/foo** _https://x.com/a_b_.", "https://x.com/foo https://x.com/a_b."),
    ("first_last@x.com _me_too@x.com www.x.com/__a__b", "first_last@x.com _me_too@x.com www.x.com/__a__b"),
    ("Hi <b>you</b><br/>there <i class='x'>now</i>", "Hi you there now"),
    ("Hall<br>Kitchen<br/>\nBath<br><br>Attic", "Hall\nKitchen\nBath\nAttic"),
    ("Results\n25 apples\n-3 pears", "Results\n25 apples\n-3 pears"),
    ("Buy:\nMilk\nEggs\n\nNext", "Buy: Milk\nEggs\n\nNext"),
    ("<p>One</p><p>Two</p>", "One.\n\nTwo."),
    ("<ul><li>Milk</li><li>Eggs</li></ul>done", "Milk. Eggs.\n\ndone"),
    ("<h2>Title</h2>Text", "Title.\n\nText"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a, b. c."),
    ("a<script>if (x<y) {}</script>b<style>*{}</style>c<!-- <b>no</b> -->d", "abcd"),
    ('<img src="x" alt="a &amp; b"> seen', "a & b seen"),
    ("<answer>42</answer><!DOCTYPE html>", "42"),
    ("AT&amp;T R&D &lt;b&gt; &#176;C &#x41; &nope; &notit; a&b;", "AT&T R&D <b> °C A &nope; &notit; a&b;"),
    ("<think>Hm, <b>so</b>\n\n</think>\nHi", "Hi"),
    ("Hi</think> there <thinking>never\n\nclosed", "Hi there"),
    ("`<think>` is a tag", "<think> is a tag"),
]


@pytest.mark.parametrize(("markdown", "expected"), TABLE)
def test_markup_is_cleaned_the_same_whole_and_in_single_characters(
    markdown: str, expected: str | None
) -> None:
    expected = markdown if expected is None else expected
    assert clean(markdown) == expected
    assert clean(*markdown) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (CleanupOptions(), "See\n\nend"),
        (
            CleanupOptions(code_blocks="announce", code_block_notice="A code block"),
            "See.\n\nA code block.\n\nend",
        ),
        (CleanupOptions(code_blocks="read"), "See.\n\nx = *1*. y.\n\nend"),
    ],
    ids=["skipped", "announced", "read"],
)
def test_code_blocks_are_handled_as_configured(options: CleanupOptions, expected: str) -> None:
    cleaned = clean("See\n```\nx = *1*\ny\n```\nend", options=options)

    assert cleaned.replace("See.", "See") == expected.replace("See.", "See")


def test_markdown_syntax_is_kept_when_markdown_is_off() -> None:
    markdown = "# *a* _b_ `c` [d](e)\n- f <b>g</b> &amp; [[ h ]]"

    assert clean(markdown, options=CleanupOptions(markdown=False)) == "# *a* _b_ `c` [d](e) - f g & [[ h ]]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See [[Main Page]] and [[ ˈtɛn ]].", "See Main Page and [[ ˈtɛn ]]."),
        ("[Kokoro](/kˈOkəɹO/) [d](e)", "[[ kˈoʊkəɹoʊ ]] [d](e)"),
        ("Paris[1] is 【4†source】 big.[2][3] [1]", "Paris is big. [1]"),
        ("\x1b[31mError\x1b[0m *x*", "Error *x*"),
        ("Great :) I <3 you. ✓ $x$ \\(y\\) \\$", "Great I love you. x y \\$"),
        ("one<br>Two\nThree", "one\nTwo\nThree"),
    ],
)
def test_what_is_no_markdown_is_read_when_markdown_is_off(text: str, expected: str) -> None:
    assert clean(text, options=CleanupOptions(markdown=False)) == expected
    assert clean(*text, options=CleanupOptions(markdown=False)) == expected


@pytest.mark.parametrize("begun", ["Note :", "so ;", "Hi!"])
def test_a_mark_that_might_begin_more_is_returned_by_a_flush(begun: str) -> None:
    cleaner = TextCleaner()
    found = [*cleaner.feed(begun), *cleaner.flush()]
    assert "".join(piece.text for piece in found) == begun


@pytest.mark.parametrize("begun", ["costs $5.50 ", "costs $5."])
def test_an_amount_is_returned_by_a_flush(begun: str) -> None:
    cleaner = TextCleaner()
    found = [*cleaner.feed(begun), *cleaner.flush()]
    assert "".join(piece.text for piece in found) == begun.rstrip()


@pytest.mark.parametrize(
    "text", ["It is $5 and", "It is $5. Now", "on $5 a da", "Great :) S", "so[1] x", "a $HOME"]
)
def test_what_might_be_a_formula_or_a_sign_is_held_for_only_a_few_characters(text: str) -> None:
    cleaner = TextCleaner()
    cleaner.feed(text)
    assert cleaner.held == ""


MARKUP = st.sampled_from(
    [
        *[
            "a",
            "B",
            "9",
            " ",
            "  ",
            ".",
            "\n",
            "\n\n",
            "*",
            "**",
            "_",
            "~~",
            "`",
            "```",
            "\n```\n",
            "# ",
            "#",
        ],
        *[
            "\n- ",
            "\n1. ",
            "\n> ",
            "\n| ",
            "|",
            "\n---\n",
            "===",
            "[",
            "](",
            "]",
            ")",
            "(",
            "!",
            "[[",
            "]]",
            "[^",
            "[x]",
        ],
        *[
            "<",
            ">",
            "</",
            "<b>",
            "<br>",
            "</p>",
            "<think>",
            "</think>",
            "<!--",
            "-->",
            "<td>",
            "&",
            "&amp;",
            ";",
        ],
        *[
            "http",
            "://",
            "x.com/",
            "@",
            "\\",
            "-",
            "--",
            "?",
            "😀",
            "\u200d",
            "\ufe0f",
            "🇩",
            "1\ufe0f\u20e3",
            "【",
            "†",
            "】",
        ],
        *[
            ":)",
            ";",
            ":",
            "<3",
            "I ",
            "\x1b[",
            "0m",
            "[1]",
            "[2, 3]",
            "citation",
            "$",
            "$$",
            "\\(",
            "\\)",
            "\\frac",
            "x",
            "^2",
        ],
        *["[[a", "|", "](/ə/)", "✓", "①", "\v", "Ab\n", "{", "}"],
        *["\r\n", "\t", '"', "='", "\ud800", "5 * 3", "Mai"],
    ]
)
TEXTS = st.lists(MARKUP, max_size=40).map("".join)


@settings(max_examples=scaled_examples(150))
@given(
    text=TEXTS,
    cuts=st.lists(st.integers(0, 120), max_size=8),
    emoji=st.sampled_from(["drop", "name"]),
    signs=st.sampled_from(["markdown", "as they are"]),
)
def test_the_result_does_not_depend_on_chunk_boundaries(
    text: str, cuts: list[int], emoji: str, signs: str
) -> None:
    options = CleanupOptions(emoji="name" if emoji == "name" else "drop", markdown=signs == "markdown")
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    whole = clean(text, options=options)

    assert clean(*text, options=options) == whole
    assert clean(*(text[start:end] for start, end in pairwise(edges)), options=options) == whole


@given(
    words=st.lists(
        st.sampled_from(["Hello", "5", "a_b", "C#", "~20", "x", "Tür", "好"]), min_size=1, max_size=20
    )
)
def test_plain_words_are_unchanged(words: list[str]) -> None:
    assert clean(" ".join(words)) == " ".join(words)


ATOMS = expand_texts(load_data_beside(__file__)["floods"])


@pytest.mark.parametrize("atom", ATOMS)
def test_a_flood_of_markup_takes_linear_time(atom: str) -> None:
    text = (atom * 2_000)[:2_000]
    assert count_lines(lambda: clean(text)) < 200 * len(text)  # twice the cost of the most expensive flood


def test_the_corpus_has_more_than_a_hundred_markup_floods() -> None:
    assert len(set(ATOMS)) > 100
