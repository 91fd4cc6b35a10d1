"""A classifier in use: whether what comes in is still what it was trained on."""

__all__ = []
