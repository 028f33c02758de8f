"""What of the environment makes a service to log in with."""

from __future__ import annotations

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from nexus_site.login_providers import allauth_settings, read_providers


def read(**variables: str) -> tuple[str, ...]:
    return tuple(one.provider for one in read_providers(with_(variables)))


def with_(variables: dict[str, str]) -> environ.Env:
    env = environ.Env()
    env.ENVIRON = variables
    return env


def test_it_offers_nothing_by_itself():
    assert read() == ()
    assert allauth_settings(()) == {}


def test_it_reads_each_service():
    variables = {
        "NEXUS_OIDC_ISSUER": "https://id.example.org/",
        "NEXUS_OIDC_CLIENT_ID": "a",
        "NEXUS_OIDC_CLIENT_SECRET": "b",
        "NEXUS_GITHUB_CLIENT_ID": "c",
        "NEXUS_GITHUB_CLIENT_SECRET": "d",
        "NEXUS_GOOGLE_CLIENT_ID": "e",
        "NEXUS_GOOGLE_CLIENT_SECRET": "f",
    }
    assert read(**variables) == ("openid_connect", "github", "google")
    made = allauth_settings(read_providers(with_(variables)))
    assert all(one["OAUTH_PKCE_ENABLED"] for one in made.values())
    assert [name for name, one in made.items() if "provider_class" in one] == ["openid_connect", "google"]
    assert made["openid_connect"]["APPS"][0]["settings"]["server_url"] == "https://id.example.org"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"NEXUS_GITHUB_CLIENT_ID": "a"}, "NEXUS_GITHUB_CLIENT_SECRET"),
        ({"NEXUS_OIDC_CLIENT_ID": "a", "NEXUS_OIDC_CLIENT_SECRET": "b"}, "NEXUS_OIDC_ISSUER"),
        (
            {
                "NEXUS_OIDC_ISSUER": "http://id.example.org",
                "NEXUS_OIDC_CLIENT_ID": "a",
                "NEXUS_OIDC_CLIENT_SECRET": "b",
            },
            "https://",
        ),
    ],
)
def test_it_stops_at_what_is_half_or_unsafe(variables, named):
    with pytest.raises(ImproperlyConfigured, match=named):
        read(**variables)
