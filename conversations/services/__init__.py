"""Writes: every change of a conversation, a message or a run."""
