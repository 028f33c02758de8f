"""The base of everything that crosses the wire: camelCase outside, snake_case inside, both accepted on input."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """Unknown fields are ignored, so that a newer client can talk to an older server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


def _written_day(value: object) -> object:
    """Only `2026-01-31`: a number would be taken for seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("write the day like 2026-01-31")
    return value


Day = Annotated[date, BeforeValidator(_written_day)]
