"""A row cache whose disk may be full, read-only or gone."""

import warnings

import numpy as np

from skda._callers import level_of_user


class TolerantCache:
    """A cache that work goes on without, with one warning, when it cannot be used.

    Parameters
    ----------
    cache : RowCache
        What remembers rows.
    """

    def __init__(self, cache):
        self.cache, self.reads, self.writes = cache, True, True

    def get(self, keys):
        """Return the rows that are there, as :meth:`RowCache.get` does; none once it failed."""
        if self.reads:
            try:
                return self.cache.get(keys)
            except OSError as error:
                self.reads = False
                self._give_up(error, "features are computed without it")
        nothing = np.full((len(keys), self.cache.n_features), np.nan, dtype=np.float32)
        return np.zeros(len(keys), dtype=bool), nothing

    def put(self, keys, rows):
        """Store rows, as :meth:`RowCache.put` does, unless that failed before."""
        if not self.writes:
            return
        try:
            self.cache.put(keys, rows)
        except OSError as error:
            self._give_up(error, "new features are not remembered")

    def close(self):
        """Close the cache."""
        self.cache.close()

    def _give_up(self, error, consequence):
        self.writes = False
        warnings.warn(f"{error} Until then {consequence}.", stacklevel=level_of_user())
