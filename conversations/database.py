"""The way into the database from async code; it lives on the floor below, where sockets use it too."""

from __future__ import annotations

from workspaces.database import close_threads, in_database, tidy_connection

__all__ = ["close_threads", "in_database", "tidy_connection"]
