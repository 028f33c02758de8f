"""What the Makefile calls. Until the environment exists these modules use the standard library only."""
