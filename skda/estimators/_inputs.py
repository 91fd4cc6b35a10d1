"""The rows that estimators train on and predict: tables and images."""

import numpy as np

from skda._sklearn_compat import validate_data
from skda.estimators._parts import EstimatorPart
from skda.images import (
    ImageRows,
    as_image_list,
    channels_first_shape,
    check_images,
    n_dimensions,
)


class InputMixin(EstimatorPart):
    """Rows as a network takes them, checked against those of ``fit``."""

    def _validate_X(self, X, *, reset):
        """Return rows as float32 tables, as images, or as images that are decoded when read."""
        images, is_list = self._as_images(X, "X")
        if images is None:
            if not reset and len(self.input_shape_) == 3:
                raise ValueError(
                    f"X has {n_dimensions(X)} dimensions, but {type(self).__name__} was fitted on "
                    f"images of shape {self.input_shape_}; pass images."
                )
            X = validate_data(self, X, dtype=np.float32, reset=reset)
            if reset:
                self.input_shape_ = X.shape[1:]
            return X
        shape = channels_first_shape(images, "X")
        if hasattr(X, "columns"):
            validate_data(self, X, reset=reset, skip_check_array=True)  # names
        if reset:
            self.input_shape_ = shape
            self.n_features_in_ = 1 if is_list else int(np.prod(np.shape(X)[1:]))
        elif shape != self.input_shape_:
            raise ValueError(
                f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                f"of shape {self.input_shape_}."
            )
        return images

    def _as_images(self, X, name):
        """Return images (None if X is a table), and whether X is a list of images or paths."""
        items = as_image_list(X)
        if items is not None:
            return ImageRows(items, self.preprocess_), True
        if n_dimensions(X) != 4:
            return None, False
        images = check_images(X, name)[0]
        if images.dtype == np.uint8 and self.preprocess_ is not None:
            images = ImageRows(images, self.preprocess_)
        return images, False
