"""How accurate a classifier is on a target without labels."""

__all__ = []
