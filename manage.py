#!/usr/bin/env python
"""Django's command line for Nexus."""

import atexit
import gc
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")
    from django.core.management import execute_from_command_line

    # Ending, Python would look through all that was imported for rubbish: half a second for each command.
    atexit.register(gc.freeze)
    execute_from_command_line(sys.argv)
