"""The benchmark: `python -m benchmarks`, or `make bench`.

A fake provider speaks a model's wire and stamps every piece of text; Nexus, as real
server processes with its default settings, relays it to a raw client; a bare relay
beside it says what this machine can do at all. Only ratios within one run mean
something on another day or machine.
"""
