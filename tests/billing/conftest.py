"""Requests to providers, as runs make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from billing.meter import DbMeter
from nexus_core.messages import user
from nexus_core.ports import Attempt, AttemptOutcome
from nexus_core.providers.base import ModelRequest
from nexus_core.usage import Usage
from workspaces.access import Actor


def request_to(model: str, text: str = "Hello, how are you?", **more: Any) -> ModelRequest:
    return ModelRequest(model=model, messages=[user(text)], **more)


def outcome_of(
    usage: Usage | None = None, status: str = "complete", text: str = "", **more: Any
) -> AttemptOutcome:
    return AttemptOutcome(status=status, usage=usage, streamed_text=text, **more)  # type: ignore[arg-type]


@pytest.fixture
def meter_of() -> Callable[..., DbMeter]:
    """A meter of a run of the actor's."""

    def make(actor: Actor, **ids: Any) -> DbMeter:
        ids.setdefault("run_id", uuid4())
        ids.setdefault("conversation_id", uuid4())
        return DbMeter(workspace_id=actor.workspace_id, user_id=actor.user_id, **ids)

    return make


@pytest.fixture
def spend(meter_of: Callable[..., DbMeter]) -> Callable[..., Attempt]:
    """One settled request, made in this thread and transaction."""

    def use(
        actor: Actor,
        model: str = "claude-sonnet-5-5",
        usage: Usage | None = None,
        *,
        provider: str = "anthropic",
        outcome: AttemptOutcome | None = None,
        **ids: Any,
    ) -> Attempt:
        from billing import meter as module

        meter = meter_of(actor, **ids)
        attempt = meter._reserve(request_to(model), provider, 0, 1)
        ended = outcome or outcome_of(
            usage or Usage(input=100, output=10), duration_ms=900, time_to_first_token_ms=200
        )
        module._settle(attempt, ended, meter.price(attempt, ended))
        return attempt

    return use
