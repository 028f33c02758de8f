"""What chaos adds to the product it runs: two tools with effects outside of it, damaged doorbells, a pulse.

A Django app of its own settings (`chaos.product.settings`); the product itself does not know it.
"""
