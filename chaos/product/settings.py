"""The product's own settings, with this app installed."""

from .clock import skew_this

skew_this()

from nexus_site.settings import *  # noqa: E402, F403
from nexus_site.settings import INSTALLED_APPS as _APPS  # noqa: E402

INSTALLED_APPS = [*_APPS, "chaos.product"]
