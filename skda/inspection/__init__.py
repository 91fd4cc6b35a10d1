"""Pictures, with scikit-learn's convention of displays."""

__all__ = []
