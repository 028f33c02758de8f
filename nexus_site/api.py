"""The HTTP API under `/api`: its door, its error answers, and the apps' routers.

Documentation at `/api/docs`, the OpenAPI document at `/api/openapi.json`, both from
here without a CDN. Every error has one shape:
`{"error": {"code", "message", "requestId", "details"?}}`.
"""

from __future__ import annotations

import agents.api
import billing.api
import conversations.api
import realtime.api
import workspaces.api
import workspaces.audit.api
import workspaces.people_api

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
# A guard looks at the ids of the path and at who may write, before the body is looked at.
api.add_router("", conversations.api.router, auth=[Door(conversations.api.guard)])
api.add_router("", agents.api.router, auth=[Door(agents.api.guard)])
api.add_router("", billing.api.router, auth=[Door(billing.api.guard)])
api.add_router("", realtime.api.router)
api.add_router("", workspaces.audit.api.router)
api.add_router("", workspaces.api.router, auth=[Door(workspaces.api.guard)])
api.add_router("", workspaces.people_api.router, auth=[Door(workspaces.people_api.guard)])
