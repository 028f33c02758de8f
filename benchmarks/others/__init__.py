"""The servers of others that Nexus is measured against; installed from their locks, never copied."""
