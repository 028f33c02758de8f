"""The HTTP API under `/api`: its door, its error answers, and the apps' routers.

Documentation at `/api/docs`, the OpenAPI document at `/api/openapi.json`, both from
here without a CDN. Every error has one shape:
`{"error": {"code", "message", "requestId", "details"?}}`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from conversations.api import guard as conversations_guard
from conversations.api import router as conversations_router

from .api_base import Door, NexusAPI
from .api_errors import add_error_handlers

api = NexusAPI(
    title="Nexus",
    version="1",
    description=(
        "People and AI agents working together live. Authenticate with `Authorization: Bearer nxs_…`, or with the "
        "browser's session (then `X-CSRFToken` on everything that changes something)."
    ),
    auth=[Door()],
)
add_error_handlers(api)

# Conversations first: /agents/stream is theirs, and must be found before /agents/{id}.
api.add_router("", conversations_router, auth=[Door(conversations_guard)])
for app in ("agents", "billing", "realtime", "workspaces"):
    if find_spec(f"{app}.api") is not None:
        module = import_module(f"{app}.api")
        api.add_router("", module.router, auth=[Door(getattr(module, "guard", None))])
