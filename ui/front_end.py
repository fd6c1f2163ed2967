"""Files of Gradio's front end that the page loads, found in what its bundler (Vite) has made.

Browsers learn of them in turns: one module imports others, which import those of the components that the
page is made of. Whatever is not found here is loaded later, and nothing is broken by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_ENTRY = re.compile(r'src="\./assets/([\w.-]+\.js)"')
_STYLE = re.compile(r'<link rel="stylesheet"[^>]* href="\./assets/([\w.-]+\.css)"')
_KIND = re.compile(r'"id":\d+,"type":"(\w+)"')
_FILE_LIST = re.compile(r"\bm\.f=(\[[^\]]*\])")
_IMPORT = r"import\(`\./({})`\)[^`]{{0,80}}?__vite__mapDeps\(\[([\d,]*)\]\)"
_COMPONENT = r"[{{,]{}:\{{[^{{}}]*?\bcomponent:\(\)=>\w+\(\(\)=>"
_FRAME = r"(?:Index|core)-[\w-]+\.js"
"""What is around the components, and the list of all kinds of them: imported by the entry."""
_BLOCKS = r"Blocks-[\w-]+\.js"
"""Imported by the frame."""
_ANY = r"[\w.-]+\.js"


def page_assets(assets: Path, index: str) -> list[str]:
    """Return the names of scripts and style sheets, in the order in which they become known.

    Args:
        assets: The directory of the front end's files.
        index: The page's HTML with its configuration. What it loads itself is among the names.
    """
    components = [
        _COMPONENT.format(kind) + _IMPORT.format(_ANY) for kind in sorted(set(_KIND.findall(index)))
    ]
    entry = _ENTRY.findall(index)
    frame = _imports(assets, entry, [_IMPORT.format(_FRAME)])
    inside = _imports(assets, frame, [_IMPORT.format(_BLOCKS), *components])
    found = dict.fromkeys([*entry, *_STYLE.findall(index), *frame, *inside])
    return [name for name in found if (assets / name).is_file()]


def _imports(assets: Path, names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return what scripts import when they run, each followed by what that needs."""
    found: list[str] = []
    for name in names:
        source = (assets / name).read_text("utf-8") if name.endswith(".js") else ""
        files = _FILE_LIST.search(source)
        needs = json.loads(files[1]) if files else []
        for pattern in patterns:
            for imported, needed in re.findall(pattern, source):
                found += [
                    imported,
                    *(needs[int(each)].removeprefix("./") for each in needed.split(",") if each),
                ]
    return found
