"""The provider's own log: every request that came over the wire, and what left for it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(slots=True)
class Request:
    """One request as the provider saw it.

    Attributes:
        number: 1, 2, 3 … over the whole campaign; its usage tells it (`input` is 1000 + number).
        attempt: 0, 1, … among the requests for this step of this play.
        results: what the model was told of earlier calls: call id → content.
        text, thinking: what left whole; the last piece may have left in part.
        usage: what was told at the end; None when it was not.
        finished: the last byte left, with the stop reason.
    """

    number: int
    wire: str
    key: str
    step: int
    attempt: int
    at: float
    results: dict[str, str]
    text: str = ""
    thinking: str = ""
    sent: int = 0
    usage: dict[str, int] | None = None
    finished: bool = False
    fault: str = ""
    ended_at: float = 0.0

    @property
    def input_tokens(self) -> int:
        return 1000 + self.number


@dataclass(slots=True)
class TruthLog:
    """In memory for the checks, on disk as evidence."""

    path: Path
    requests: list[Request] = field(default_factory=list)
    _tries: dict[tuple[str, int], int] = field(default_factory=dict)
    _file: TextIO | None = None

    def begin(self, *, wire: str, key: str, step: int, results: dict[str, str]) -> Request:
        attempt = self._tries.get((key, step), 0)
        self._tries[key, step] = attempt + 1
        request = Request(len(self.requests) + 1, wire, key, step, attempt, time.time(), results)
        self.requests.append(request)
        self._write("request", request)
        return request

    def end(self, request: Request) -> None:
        request.ended_at = time.time()
        self._write("end", request)

    def of(self, key: str) -> list[Request]:
        return [request for request in self.requests if request.key == key]

    def _write(self, what: str, request: Request) -> None:
        if self._file is None:
            self._file = self.path.open("a")
        self._file.write(json.dumps({"what": what, **asdict(request)}) + "\n")
        self._file.flush()
