"""All addresses: pages, API, accounts, admin, health."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from .api import api
from .health import livez, metrics, readyz

urlpatterns = [
    path("api/", api.urls),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
    path("", include("conversations.page_urls")),
]
