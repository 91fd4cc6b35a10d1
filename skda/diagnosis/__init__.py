"""How two domains differ, before anything is trained."""

__all__ = []
