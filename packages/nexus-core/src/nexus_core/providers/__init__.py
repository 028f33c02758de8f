"""Providers: one file per wire, one row per provider in the table; `base` is the seam."""
