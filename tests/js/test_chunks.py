"""The page's modules are joined into few files, and stay what they were: own scopes, evaluated once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ui.chunks import chunks, joined_files

SOURCES = {
    "clock": 'globalThis.log.push("clock");\nlet ticks = 0;\nexport const tick = () => ++ticks;\n',
    "page": (
        'import { tick } from "./clock.js";\nimport {\n  name as other,\n  Title,\n} from "./title.js";\n\n'
        'globalThis.log.push("page");\nconst name = "page";\n'
        'export async function mount() {\n  const { late } = await import("./panel.js");\n'
        "  return [tick(), name, other(), new Title().text, late()];\n}\n"
    ),
    "title": 'export function name() {\n  return "title";\n}\nexport class Title {\n  text = "A title";\n}\n',
    "panel": (
        'import { tick } from "./clock.js";\nimport { shared } from "./shared.js";\n'
        "export const late = () => `late ${tick()} ${shared}`;\n"
    ),
    "tab": (
        'import { shared } from "./shared.js";\nimport { own } from "./own.js";\n'
        "export const mount = () => shared + own;\n"
    ),
    "own": (
        "/**\n * Said of it.\n * @type {number}\n */\nexport const own =\n  /** @type {number} */ (2);\n\n"
        "  /** At last. */\n"
    ),
    "shared": 'globalThis.log.push("shared");\nexport const shared = 1;\n',
    "drawing": 'export const draw = () => new Worker(new URL("./worker.js", import.meta.url));\n',
    "worker": 'import { own } from "./own.js";\npostMessage(own);\n',
}
"""`panel` is imported when it is asked for; `tab` and `drawing` are as later tabs."""


def test_the_first_chunk_has_what_is_needed_at_once_and_what_later_ones_share() -> None:
    joined = chunks(SOURCES, ["page"])
    assert set(joined["first"]) == {"clock", "title", "page", "shared"}
    assert joined["tab"] == ["own", "tab"]
    assert joined["panel"] == ["panel"]


def test_a_worker_has_all_that_it_imports_itself() -> None:
    assert chunks(SOURCES, ["page"])["worker"] == ["own", "worker"]
    assert "import " not in joined_files(SOURCES, ["page"])["worker"]


def test_documentation_is_left_out() -> None:
    own = joined_files(SOURCES, ["page"])["tab"]
    assert "const own =\n  /** @type {number} */ (2);" in own
    assert not any(word in own for word in ("Said", "last"))


def test_modules_do_in_chunks_what_they_did_by_themselves(node: str, tmp_path: Path) -> None:
    for name, text in joined_files(SOURCES, ["page"]).items():
        (tmp_path / f"{name}.js").write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(
        "globalThis.log = [];\n"
        'const { $page } = await import("./first.js");\n'
        'const found = [await $page.mount(), (await import("./tab.js")).mount(), '
        '(await import("./clock.js")).tick()];\n'
        "console.log(JSON.stringify([found, log]));\n"
    )
    found, evaluated = json.loads(subprocess.check_output([node, tmp_path / "run.js"]))
    assert found == [[1, "page", "title", "A title", "late 2 1"], 3, 3]
    assert sorted(evaluated) == ["clock", "page", "shared"]
    assert evaluated.index("clock") < evaluated.index("page")


@pytest.mark.parametrize(
    "line",
    [
        'import title from "./title.js";',
        'import * as title from "./title.js";',
        'import "./title.js";',
        "export default 1;",
        "export let changing = 1;",
        'export { tick } from "./clock.js";',
        "await 1;",
    ],
)
def test_a_module_of_another_form_is_refused_with_its_name_and_line(line: str) -> None:
    with pytest.raises(ValueError, match=r"ui/js/odd\.js has a line .*: " + line[:6]):
        joined_files(SOURCES | {"odd": f"{line}\n"}, ["page"])


def test_modules_that_import_each_other_are_refused() -> None:
    circle = {"one": 'import { b } from "./two.js";\n', "two": 'import { a } from "./one.js";\n'}
    with pytest.raises(ValueError, match="one imports two imports one"):
        joined_files(circle | {"page": 'import { a } from "./one.js";\n'}, ["page"])
