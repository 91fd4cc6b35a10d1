"""What the parts of an estimator may take for granted of the whole."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from sklearn.base import BaseEstimator

    from skda.training import AdaptationNet

    class EstimatorPart(BaseEstimator):
        """A deep estimator, and what it has learned: no parameters, hence not declared there."""

        classes_: np.ndarray
        history_: Any
        input_shape_: tuple[int, ...]
        n_features_in_: int
        n_iter_: int
        net_: AdaptationNet
        preprocess_: Any
        _n_features_out: int
        _task: Any

        def _forward(self, X: Any) -> tuple[torch.Tensor, torch.Tensor]: ...

else:
    EstimatorPart = object
