"""The threads in which async code works with the database."""

import pytest
from django.db import connection, transaction

from workspaces.database import close_threads, in_database
from workspaces.models import User

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_connection_left_without_autocommit_loses_nothing_that_comes_after() -> None:
    """Django drops such a connection between requests; a thread of ours that kept it would commit nothing more."""
    close_threads()  # one thread, then: the next piece of work takes the one that is idle
    await in_database(lambda: connection.set_autocommit(False))
    heard: list[str] = []

    def write() -> None:
        with transaction.atomic():
            User.objects.create(username="after")
        transaction.on_commit(lambda: heard.append("committed"))

    await in_database(write)
    assert heard == ["committed"]
    close_threads()  # whatever was not committed is gone with its connection
    assert await in_database(User.objects.filter(username="after").exists)
