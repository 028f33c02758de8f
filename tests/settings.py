"""Nexus's own settings, with a data folder that is thrown away, for the test processes.

Read before anything else: parallel test processes each get a folder, and a Redis database, of their own.
Servers that tests start as processes of their own use `nexus_site.settings` and name their own folder.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
_data = tempfile.mkdtemp(prefix=f"nexus-test-{_worker}-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)

os.environ["NEXUS_DATA_DIR"] = _data
os.environ["DEBUG"] = "0"
os.environ["SECRET_KEY"] = "only-for-the-tests-9f3c51e07ab24d6888e1"
os.environ["SQLITE_SYNCHRONOUS"] = "OFF"  # a test database may be lost
# Keys and addresses of the person who runs the tests have no business in them.
for _name in list(os.environ):
    if re.search(r"_(API_KEY|AUTH_TOKEN|BASE_URL)$", _name) or _name in ("OLLAMA_HOST", "OLLAMA_API_BASE"):
        del os.environ[_name]
if _redis := os.environ.get("REDIS_URL"):
    _number = int(re.sub(r"\D", "", _worker) or 0)
    os.environ["REDIS_URL"] = re.sub(r"/\d*$", "", _redis) + f"/{_number + 1}"

from nexus_site.settings import *  # noqa: E402, F403

# The real hashers take their time on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SERVESTATIC_USE_FINDERS = True
