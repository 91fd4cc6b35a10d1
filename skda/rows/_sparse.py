"""Sparse tables, dense only a batch at a time."""

import math
from typing import Any

import numpy as np
from scipy import sparse


class SparseRows:
    """A sparse table whose rows are float32 arrays when they are read.

    Parameters
    ----------
    matrix : scipy sparse matrix or array of shape (n_samples, n_features)
        The table; CSR is read fastest.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import eye
    >>> from skda.rows import SparseRows
    >>> rows = SparseRows(eye(5, format="csr"))
    >>> rows.shape, rows[1:3].dtype, rows[np.array([0, 0])].shape
    ((5, 5), dtype('float32'), (2, 5))
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, matrix: Any):
        self.matrix: Any = sparse.csr_array(matrix)
        self.shape: tuple[int, int] = self.matrix.shape

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What all rows would take in memory if they were dense."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows, by a slice or an array of int, as a dense array."""
        return self.matrix[rows].toarray().astype(self.dtype, copy=False)
