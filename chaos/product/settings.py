"""The product's own settings, with this app installed."""

from nexus_site.settings import *  # noqa: F403
from nexus_site.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "chaos.product"]
