"""The settings as they are, with GitHub and Google at one address on loopback: `NEXUS_TEST_IDENTITY`."""

from __future__ import annotations

import os

from nexus_site.settings import *  # noqa: F403
from nexus_site.settings import SOCIALACCOUNT_PROVIDERS

AT = os.environ["NEXUS_TEST_IDENTITY"]
SOCIALACCOUNT_PROVIDERS["github"]["GITHUB_URL"] = AT
SOCIALACCOUNT_PROVIDERS["google"] |= {
    "AUTHORIZE_URL": f"{AT}/authorize",
    "ACCESS_TOKEN_URL": f"{AT}/token",
    "IDENTITY_URL": f"{AT}/userinfo",
    "CERTS_URL": f"{AT}/keys",
    "ID_TOKEN_ISSUER": AT,
}
