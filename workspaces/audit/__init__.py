"""The audit: an append-only record of who did what, for the admins and owners of a workspace.

    actions     the closed list of what is recorded
    recording   `record`, inside the transaction of what it tells
    origin      the address and the request that an event came from
    reads       what the page, the API and the CSV show
    hearing     logins, passwords and the admin, by Django's signals

Nothing here names a conversation's words, a prompt or a secret.
"""

from .recording import digest_of, record, record_of_person, told

__all__ = ["digest_of", "record", "record_of_person", "told"]
