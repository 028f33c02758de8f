"""No text becomes code [S7, S1]: nothing in the product runs, unpickles or compiles what it was given, or marks it as safe HTML.

The tree is walked. What looks alike and is none stands in `KNOWN` with its reason; a new place fails, and so does a row
whose place is gone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (
    "agents",
    "billing",
    "conversations",
    "nexus_site",
    "realtime",
    "workspaces",
    "packages/nexus-core/src",
)
BUILT_IN = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "importlib.import_module", "import_module", "mark_safe",
    "Template", "engine.from_string", "Engine.from_string", "engines.from_string", "jsonpickle.decode",
}  # fmt: skip
MODULES = {
    "pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "subprocess", "code", "codeop", "runpy",
    "pty", "jinja2",
}  # fmt: skip
SCRIPT = re.compile(
    r"\.(?:inner|outer)HTML\s*=(?!=)|insertAdjacentHTML|createContextualFragment|document\.write|setHTMLUnsafe|parseFromString"
    r"|\bsrcdoc\b|(?<![.\w])eval\(|new Function\(|setTimeout\(\s*[\"'`]"
)
TEMPLATE = re.compile(
    r"\|\s*safe(?:seq)?\b|autoescape\s+off|\son[a-z]+\s*=\s*[\"']|javascript:", re.IGNORECASE
)
KNOWN = {
    "agents/toolbox.py: importlib.import_module": "packages that the operator's settings name",
    "packages/nexus-core/src/nexus_core/providers/sdk.py: importlib.import_module": "a part of the SDK at hand",
    "packages/nexus-core/src/nexus_core/providers/table.py: importlib.import_module": "of our own table",
    "packages/nexus-core/src/nexus_core/providers/local_child.py: subprocess": "our own module, in another process",
    "packages/nexus-core/src/nexus_core/providers/local_child.py: subprocess.Popen": "the same",
    "static/nexus/lib/icons.js: parseFromString": "our own file of icons",
    "static/nexus/pages/members.js: parseFromString": "our own page, as the browser would load it",
    "conversations/shared_page.py: mark_safe": "what the sanitiser gave",
    "conversations/templatetags/nexus.py: mark_safe": "the same, and what was escaped just before",
}


def code_in(text: str) -> Iterator[str]:
    """What of a module would run or trust a text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            if node.module.split(".")[0] in MODULES:
                yield node.module
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            fixed = bool(node.args) and isinstance(node.args[0], ast.Constant) and "import" in name
            if (name in BUILT_IN or name in METHODS or "subprocess" in name) and not fixed:
                yield name
            if any(one.arg == "shell" for one in node.keywords):
                yield "shell="


def found() -> set[str]:
    out = set()
    for folder in PYTHON:
        for path in sorted((ROOT / folder).rglob("*.py")):
            out |= {f"{path.relative_to(ROOT)}: {what}" for what in code_in(path.read_text())}
    for folder, end, pattern in (("static/nexus", "*.js", SCRIPT), ("templates", "*.html", TEMPLATE)):
        for path in sorted((ROOT / folder).rglob(end)):
            out |= {f"{path.relative_to(ROOT)}: {what}" for what in pattern.findall(path.read_text())}
    return out


def test_nothing_in_the_tree_takes_a_text_for_code() -> None:
    assert found() == set(KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)", "exec(x)", "import pickle", "from pickle import loads", "import marshal as m", "mark_safe(x)",
        "os.system(x)", "f(x, shell=True)", "Template(x).render()", "asyncio.create_subprocess_exec(x)", "yaml.load(x)",
    ],
)  # fmt: skip
def test_it_would_be_found(text: str) -> None:
    assert list(code_in(text))


@pytest.mark.parametrize(
    "text", ["a.innerHTML = x", "a.outerHTML= x", "eval(x)", "new Function(x)", 'setTimeout("x", 1)']
)
def test_it_would_be_found_in_a_script(text: str) -> None:
    assert SCRIPT.search(text)
    assert not SCRIPT.search(
        "copy.outerHTML.replace(a, b); a.innerHTML === b; re.exec(text); setTimeout(() => x)"
    )


@pytest.mark.parametrize(
    "text", ["{{ x|safe }}", "{% autoescape off %}", "<a onclick='x'>", '<a href="javascript:x">']
)
def test_it_would_be_found_in_a_template(text: str) -> None:
    assert TEMPLATE.search(text)
