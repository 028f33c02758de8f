"""The base of everything that crosses the wire: camelCase outside, snake_case inside, both accepted on input."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """Unknown fields are ignored, so that a newer client can talk to an older server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")
