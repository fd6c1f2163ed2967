"""Chunks: the page's ES modules joined into few files, as a request costs a browser more than a module does.

The first chunk has the modules that the page needs at once, and what several later ones share. Each later one
has a module that no other imports (that of a tab, a panel or a worker), with what only it needs. A module
stays what it was: a scope of its own, evaluated once, after those that it imports. Its exports are the
properties of a constant of its chunk, `$` and its name; the address of a module still has these exports.

The scripts in `ui/js` keep to one form, so that no parser is needed: `import { a, b as c } from "./it.js";`,
and `export` before a function, a class or a `const`, each at the start of a line. Comments that begin a line
with `/**` are left out: they are a third of what browsers would load.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

FIRST = "first"
"""The name of the first chunk, which no module has."""
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_OTHER_FORM = re.compile(r"^(?:import\b(?! *\()|export\b|await\b).*", re.MULTILINE)
_DOCUMENTATION = re.compile(r"^[ \t]*/\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)
_RENAMED = re.compile(r"(\w+) as (\w+)")
_WORKER = re.compile(r'new Worker\(new URL\("\./(\w+)\.js"')


def namespace(module: str) -> str:
    """Return the name of the constant with the exports of a module, in its chunk."""
    return f"${module}"


def chunks(sources: Mapping[str, str], first: Iterable[str]) -> dict[str, list[str]]:
    """Return the modules of each chunk, in the order of their evaluation.

    Args:
        sources: Text of each module, by name.
        first: Names of the modules that the page needs at once.
    """
    reached = {root: set(with_imports(sources, [root])) for root in _roots(sources)}
    workers = {worker for source in sources.values() for worker in _WORKER.findall(source)}
    at_once = set(with_imports(sources, first))
    later = {root: found for root, found in reached.items() if root not in at_once | workers}
    shared = {module for module in sources if sum(module in found for found in later.values()) > 1}
    joined = {FIRST: with_imports(sources, sorted(at_once | shared))}
    for root in sorted(later):
        joined[root] = [module for module in with_imports(sources, [root]) if module not in joined[FIRST]]
    return joined | {worker: with_imports(sources, [worker]) for worker in sorted(workers)}


def joined_files(sources: Mapping[str, str], first: Iterable[str]) -> dict[str, str]:
    """Return the text of each file by name: the chunks, and one for each module that lends no chunk its name.

    Raises:
        ValueError: a module is of another form, or modules import each other.
    """
    joined = chunks(sources, first)
    files = {name: _chunk(name, modules, sources) for name, modules in joined.items()}
    homes = {module: name for name, modules in reversed(joined.items()) for module in modules}
    for module, home in homes.items():
        if module not in files:
            files[module] = f"{_importing([module], home)}{_exporting(module, sources[module])}"
    return files


def with_imports(sources: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return modules and all that they import, each after what it imports.

    Raises:
        ValueError: modules import each other.
    """
    found: dict[str, None] = {}

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"Modules import each other: {' imports '.join((*importers, name))}.")
        if name not in found:
            for _, imported in _IMPORT.findall(sources[name]):
                add(imported, (*importers, name))
            found[name] = None

    for name in names:
        add(name, ())
    return list(found)


def _roots(sources: Mapping[str, str]) -> set[str]:
    imported = {name for source in sources.values() for _, name in _IMPORT.findall(source)}
    return set(sources) - imported


def _chunk(name: str, modules: Collection[str], sources: Mapping[str, str]) -> str:
    needed = with_imports(sources, modules)
    outside = [module for module in needed if module not in modules]
    scopes = "".join(_scope(module, sources[module]) for module in modules)
    own = _exporting(name, sources[name]) if name in modules else ""
    return f"{_importing(outside, FIRST) if outside else ''}{scopes}{own}"


def _importing(modules: Iterable[str], chunk: str) -> str:
    return f'import {{ {", ".join(map(namespace, modules))} }} from "./{chunk}.js";\n'


def _exporting(module: str, source: str) -> str:
    """Return the export of what a module exports."""
    names = _EXPORT.findall(source)
    return f"export const {{ {', '.join(names)} }} = {namespace(module)};\n" if names else ""


def _scope(module: str, source: str) -> str:
    """Return a module as a function that is called at once."""
    names = _EXPORT.findall(source)
    body = _EXPORT.sub("", _IMPORT.sub(_taking, _DOCUMENTATION.sub("", source)))
    other = _OTHER_FORM.search(body)
    if other:
        raise ValueError(f"ui/js/{module}.js has a line that `ui/chunks.py` does not know: {other[0]}")
    return f"export const {namespace(module)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _taking(found: re.Match[str]) -> str:
    names = _RENAMED.sub(r"\1: \2", " ".join(found[1].split()).rstrip(","))
    return f"const {{ {names} }} = {namespace(found[2])};\n"
