"""Routes: which model of which provider answers, and which one stands in for it [P5]."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from .errors import KeyMissing, LLMError, Refused
from .providers.base import ModelEvent, ModelRequest, Provider


@dataclass(frozen=True, slots=True)
class Route:
    """One model of one configured provider."""

    provider: Provider
    model: str


class UnavailableProvider:
    """Stands for a provider that could not be set up (no key, package not installed): every request
    raises `error`, so that it takes its place in a fallback chain and its message reaches the person."""

    def __init__(self, name: str, error: LLMError) -> None:
        self.name = name
        self.error = error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        raise self.error
        yield

    async def close(self) -> None:
        return None


def falls_back(error: LLMError) -> bool:
    """Whether the next route is asked after this error: everything but a model that declined."""
    return not isinstance(error, Refused)


def error_to_tell(errors: Sequence[LLMError]) -> LLMError:
    """Of the errors of all routes the one a person should read: the first that is not a missing key."""
    return next((e for e in errors if not isinstance(e, KeyMissing)), errors[0])
