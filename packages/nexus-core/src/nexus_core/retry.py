"""When a failed provider request is tried again, and after how long [P8, P9].

Three requests in all, 2^n seconds with jitter between them, a provider's
Retry-After honoured. What may be retried at all is `LLMError.retryable` (429, 5xx,
529, connection faults, broken streams); that nothing visible has been streamed yet
is for the caller to know.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import LLMError, ProviderUnavailable, RateLimited

LONGEST_WAIT = 60.0
"""Seconds; a longer Retry-After is cut to this."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts all requests, the first one too; `jitter` gives numbers from 0 to 1."""

    attempts: int = 3
    base: float = 1.0
    jitter: Callable[[], float] = field(default=random.random, compare=False)

    def again(self, error: LLMError, failures: int) -> bool:
        """Whether the request is sent again after that many failures."""
        return error.retryable and failures < self.attempts

    def delay(self, error: LLMError, failures: int) -> float:
        """Seconds to wait: Retry-After if the provider gave one, else half to whole 2^failures."""
        if isinstance(error, RateLimited | ProviderUnavailable) and error.retry_after is not None:
            asked = error.retry_after
            return min(max(0.0, asked), LONGEST_WAIT) if math.isfinite(asked) else LONGEST_WAIT
        return min(self.base * 2.0**failures * (0.5 + 0.5 * self.jitter()), LONGEST_WAIT)
