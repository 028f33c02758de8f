"""All addresses: pages, API, accounts, admin, health."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from .api import api
from .health import livez, metrics, readyz

# One login form, the one that is throttled.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("api/", api.urls),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
    path("", include("conversations.page_urls")),
]
