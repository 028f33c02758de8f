"""The page of one's logins: where one is logged in, and "log out everywhere else".

allauth notes each login with its address and browser. What it did not note (a session from before there was this
page) is ended as well: the sessions themselves say whose they are. Sockets of an ended session are closed by
`realtime.rights` within seconds.
"""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from workspaces.audit import record_of_person
from workspaces.models import User


@transaction.atomic
def sessions_end_elsewhere(*, user: User, current: str) -> int:
    """Ends every session of the user but the one with the key `current`. Returns how many."""
    stored = Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key=current)
    theirs = [
        row.session_key for row in stored.iterator() if row.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    for start in range(0, len(theirs), 500):
        Session.objects.filter(session_key__in=theirs[start : start + 500]).delete()
    UserSession.objects.filter(user=user).exclude(session_key=current).delete()
    record_of_person("sessions_ended", user.pk, metadata={"sessions": len(theirs)})
    return len(theirs)


class SessionsView(ListUserSessionsView):  # type: ignore[misc]
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.session.session_key
        if not UserSession.objects.filter(session_key=key).exists():
            UserSession.objects.create_from_request(request)
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        assert isinstance(self.request.user, User)
        sessions_end_elsewhere(user=self.request.user, current=self.request.session.session_key or "")
        response: HttpResponse = super().form_valid(form)
        return response


sessions_page = SessionsView.as_view()
