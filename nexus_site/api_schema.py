"""What the OpenAPI document says of every operation alike: who may come in, and how it refuses."""

from __future__ import annotations

from typing import Any

from ninja.openapi.schema import OpenAPISchema

ERROR: dict[str, Any] = {
    "type": "object",
    "title": "Error",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "requestId"],
            "properties": {
                "code": {"type": "string", "description": "For programs; does not change."},
                "message": {"type": "string", "description": "For people."},
                "requestId": {"type": "string", "description": "What the server's log calls this request."},
                "details": {"description": "What is wrong, field by field, where that is known."},
            },
        }
    },
}

ALWAYS = {
    401: "No credential, or a wrong one.",
    403: "Seen, but not allowed.",
    404: "Not there, or not for the caller: one and the same answer.",
    422: "The request does not fit what is described here, or cannot be carried out.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "The database does not answer.",
}
WITH_BODY = {
    400: "The body cannot be read.",
    413: "The body, or a file in it, is too large.",
}
WRITING = {
    402: "A budget is used up (`budget_exceeded`).",
    409: "It does not fit what is going on: an agent still answers, an id was used for something else.",
}

SECURITY_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of this workspace: nxs_…"},
    "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "The browser's login."},
}
METHODS = ("get", "post", "put", "patch", "delete")


def with_errors(schema: OpenAPISchema) -> OpenAPISchema:
    """The document with the error answers and the security of every operation."""
    components = schema["components"]
    components.setdefault("schemas", {})["Error"] = ERROR
    components["securitySchemes"] = SECURITY_SCHEMES
    schema["security"] = [{"token": []}, {"session": []}]
    done: set[int] = set()
    for path in schema["paths"].values():
        for method, operation in path.items():
            if method in METHODS and id(operation) not in done:
                done.add(id(operation))
                _declare(method, operation)
    return schema


def _declare(method: str, operation: dict[str, Any]) -> None:
    answers = dict(ALWAYS)
    if method != "get":
        answers |= WRITING
    if "requestBody" in operation:
        answers |= WITH_BODY
    responses = operation["responses"]
    for status, description in sorted(answers.items()):
        responses.setdefault(
            status,
            {
                "description": description,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        )
