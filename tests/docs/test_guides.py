"""The code in the guides runs as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_guide(name: str) -> dict[str, Any]:
    """Executes all Python of a guide, in order, in one namespace; its tests too."""
    page = GUIDES / name
    text = page.read_text()
    namespace: dict[str, Any] = {"__name__": f"guide_{page.stem}"}
    blocks = list(_BLOCK.finditer(text))
    assert blocks, f"{name} has no Python"
    for block in blocks:
        # Line numbers of the page, so that a failure points into it.
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(page), "exec"), namespace)
    tests: list[Callable[[], None]] = [value for key, value in namespace.items() if key.startswith("test_")]
    for test in tests:
        test()
    return namespace


# The client guide's code needs a server: test_client_guide.py runs it.
@pytest.mark.parametrize("name", ["tool.md", "agent.md", "provider.md", "money.md"])
def test_it_runs_the_code_of_a_guide(name: str) -> None:
    run_guide(name)


async def test_it_makes_a_tool_that_uses_the_actor() -> None:
    from types import SimpleNamespace

    from nexus_core.context import ExecutionContext

    who_asks = run_guide_tools()["who_asks"]
    alice = SimpleNamespace(user=SimpleNamespace(display_name="Alice"))
    assert await who_asks.call({}, ExecutionContext(services={"actor": alice})) == {"name": "Alice"}


async def test_it_makes_a_slash_command() -> None:
    from nexus_core.commands import arguments_for
    from nexus_core.context import ExecutionContext

    temperature = run_guide_tools()["temperature"]
    arguments = arguments_for(temperature, "Oslo unit=F")
    assert (await temperature.call(arguments, ExecutionContext()))["temperature"] == 54.5


def run_guide_tools() -> dict[str, Any]:
    """The definitions of the tool guide, without its tests (they start a loop of their own)."""
    text = (GUIDES / "tool.md").read_text()
    namespace: dict[str, Any] = {"__name__": "guide_tool"}
    for block in _BLOCK.finditer(text):
        exec(compile(block[1], "tool.md", "exec"), namespace)
    return namespace


async def test_it_knows_a_webhook_of_ours_and_charges_for_a_tool() -> None:
    import time

    from billing.delivery import signature
    from nexus_core.context import ExecutionContext

    guide = run_guide("money.md")
    at, body = str(int(time.time())), b'{"type":"budget.warning"}'
    header = f"t={at},v1={signature('secret', at, body)}"
    assert guide["is_ours"]("secret", header, body)
    assert not guide["is_ours"]("secret", header, body + b" ")
    assert not guide["is_ours"]("other", header, body)
    context = ExecutionContext()
    await guide["look_up"].call({"name": "Acme"}, context)
    assert context.charges.pico == 5 * 10**9
