"""All addresses: pages, API, accounts, admin, health."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from .accounts_sessions import sessions_page
from .accounts_social import provider_urls
from .api import api
from .health import livez, metrics, readyz

# One login form, the one that is throttled.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("api/", api.urls),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", sessions_page, name="usersessions_list"),
    path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    path("accounts/", include(provider_urls())),
    path("admin/", admin.site.urls),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
    path("", include("workspaces.page_urls")),
    path("", include("conversations.page_urls")),
]
