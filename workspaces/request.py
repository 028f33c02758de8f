"""What an operation gets: a request whose `auth` is the actor that the door let in."""

from __future__ import annotations

from django.http import HttpRequest

from workspaces.access import Actor


class ApiRequest(HttpRequest):
    auth: Actor
    request_id: str
