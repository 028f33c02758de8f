"""Tokens, tickets, invitations and links as text: how they are made and how they are kept (as SHA-256 only)."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "nxs_"  # noqa: S105  (a prefix, no secret)


def new_token() -> str:
    """`nxs_` and 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_ticket() -> str:
    """256 random bits, in characters that a subprotocol name may have."""
    return secrets.token_urlsafe(32)


def new_invitation() -> str:
    """256 random bits, in characters that an address may have."""
    return secrets.token_urlsafe(32)


def new_share() -> str:
    """256 random bits, in characters that an address may have."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
