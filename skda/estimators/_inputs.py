"""The rows that estimators train on and predict, checked against those of ``fit``."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from joblib import effective_n_jobs

from skda._naming import begins_with
from skda._sklearn_compat import check_array, validate_data
from skda.domains import check_column_names
from skda.estimators._parts import EstimatorPart
from skda.images import ImageRows, StoredRows, resolve_preprocess, resolve_reading
from skda.rows import DESCRIPTIONS, DatasetRows, RowReader, Rows, as_host_array, as_sparse_rows
from skda.text import TextPreprocess, resolve_text_preprocess

# Of what others say of a table, which may hold all of it.
_LONGEST = 800
_MOST_NAMES = 3  # of columns that are too many or too few
# Of these a row of another call may be longer or shorter.
_ROWS_OF_A_SAMPLE = 256
_OF_ANY_LENGTH = ("dict", "text", "tokens")


class RowInputMixin(EstimatorPart):
    """Rows as a network takes them."""

    # What a method can train on; a subclass may name fewer.
    row_kinds: ClassVar[tuple[str, ...]] = tuple(DESCRIPTIONS)

    def _make_reader(self, resolver, **options):
        """Return what reads rows for the network that the resolver knows."""
        if isinstance(resolver.preprocess, TextPreprocess):
            self.preprocess_ = resolve_text_preprocess(self.preprocess, resolver.preprocess)
        else:
            self.preprocess_ = resolve_preprocess(
                self.preprocess, resolver.preprocess, resolver.n_channels
            )
        is_text = isinstance(self.preprocess_, TextPreprocess)
        is_image = self.preprocess_ is not None and not is_text
        return RowReader(
            input=self.input,
            image_layout=self.image_layout,
            reading=self._resolve_reading(resolver),
            preprocess=None if is_text else self.preprocess_,
            text_preprocess=self.preprocess_ if is_text else None,
            takes="text" if is_text else "image" if is_image else None,
            n_jobs=effective_n_jobs(self.n_jobs),
            **options,
        )

    def _resolve_reading(self, resolver):
        """Return how pictures are read: as asked for, or as by the estimator that is the module."""
        inherited = getattr(getattr(self.module, "_reader", None), "reading", None)
        if inherited is not None and self.image_reading is None:
            return inherited
        return resolve_reading(self.image_reading, resolver.n_channels or 3)

    def __setstate__(self, state):
        super().__setstate__(state)
        if "preprocess_" in state and "_reader" not in state:  # of version 0.1.0
            takes = None if self.preprocess_ is None else "image"
            self._reader = RowReader(preprocess=self.preprocess_, takes=takes)
            self._row_kind = "image" if len(self.input_shape_) == 3 else "table"

    def _validate_X(self, X, *, reset):
        """Return rows: arrays, or objects that read rows when they are indexed."""
        rows = self._reader.read(X)
        if reset:
            rows = self._stored(rows, "X")
        else:
            self._check_kind(rows.kind, "X")
            rows = self._with_channels(rows)
        if rows.kind == "table":
            rows = Rows("table", self._checked_table(rows.values, "X", reset=reset), None)
        elif reset or hasattr(X, "columns"):
            names = X if hasattr(X, "columns") else None
            if names is not None:
                validate_data(self, X, reset=reset, skip_check_array=True)
            elif hasattr(self, "feature_names_in_"):
                del self.feature_names_in_  # of an earlier fit
        if reset:
            self._keep_form(rows)
        else:
            self._check_shape(rows, "X")
        return rows.values

    def _stored(self, rows, name):
        """Return rows as training keeps them; images may be decoded once."""
        return rows

    def _with_channels(self, rows):
        """Return pixels of other channels than those of fit as pictures, which are converted."""
        if rows.kind != "image" or not _is_uint8(rows.values):
            return rows
        shape, wanted = rows.row_shape, self.input_shape_
        if shape[0] == wanted[0] or shape[1:] != tuple(wanted[1:]):
            return rows
        reading = replace(self._reader.reading, n_channels=wanted[0])
        pixels = ImageRows(as_host_array(rows.values), self.preprocess_, reading=reading)
        return Rows("image", pixels, rows.n_features)

    def _keep_form(self, rows):
        """Remember what rows of fit look like."""
        if rows.kind not in self.row_kinds:
            raise ValueError(
                f"X holds {DESCRIPTIONS[rows.kind]}, but {type(self).__name__} can train on "
                f"{', '.join(DESCRIPTIONS[kind] for kind in self.row_kinds)} alone; extract "
                "features first, with skda.feature_extraction.DeepFeatureExtractor."
            )
        if rows.kind in _OF_ANY_LENGTH and self.module is None:
            raise ValueError(
                f"X holds {DESCRIPTIONS[rows.kind]}, for which there is no default network; give "
                "one as module."
            )
        self._row_kind, self.input_shape_ = rows.kind, self._shape_of(rows)
        self._fixed_shapes = getattr(rows.values, "fixed_shapes", None)  # of inputs by name
        if rows.n_features is not None:
            self.n_features_in_ = rows.n_features
        # Whole numbers and files come to the network in [0, 1] if nothing else is said.
        is_scaled = isinstance(rows.values, ImageRows | StoredRows) or _is_uint8(rows.values)
        if rows.kind == "image" and is_scaled and self._reader.preprocess is None:
            self._reader = replace(self._reader, expects=(0.0, 1.0))
        elif rows.kind == "image" and isinstance(rows.values, np.ndarray | torch.Tensor):
            sample = rows.values[:_ROWS_OF_A_SAMPLE]
            self._reader = replace(self._reader, seen=(float(sample.min()), float(sample.max())))
        if rows.kind == "image" and self.input_shape_ is not None and self.input_shape_[0] == 1:
            # Files and pictures that come later are read as grey ones, too.
            reading = replace(self._reader.reading, n_channels=1)
            self._reader = replace(self._reader, reading=reading)

    def _shape_of(self, rows):
        """Return the shape of a row, None if it cannot be known yet."""
        return rows.row_shape

    def _checked_table(self, X, name, *, reset=False):
        """Return a table as scikit-learn checks it, in float32."""
        options = {"dtype": np.float32, "accept_sparse": "csr"}
        try:
            if isinstance(X, DatasetRows) or (isinstance(X, torch.Tensor) and X.ndim == 2):
                # Stays where it is; only its width is looked at.
                validate_data(self, X, reset=reset, skip_check_array=True)
                return X
            if name == "X":
                X = validate_data(self, X, reset=reset, **options)
            else:
                X = check_array(X, input_name=name, estimator=self, **options)
        except (TypeError, ValueError) as error:
            if begins_with(str(error), name):
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name}: {_said(error, X)}{_remedy(error)}") from error
        return as_sparse_rows(X)

    def _check_kind(self, kind, name):
        if kind != self._row_kind:
            raise ValueError(
                f"{name} holds {DESCRIPTIONS[kind]}, but {type(self).__name__} was fitted on "
                f"{DESCRIPTIONS[self._row_kind]} of shape {self.input_shape_}; pass rows like "
                "those of fit."
            )

    def _check_shape(self, rows, name):
        """Raise unless rows have the shape of those of fit."""
        shape, wanted = self._shape_of(rows), self.input_shape_
        if shape is None:
            return
        if rows.kind in _OF_ANY_LENGTH:
            if isinstance(shape, dict) and set(shape) != set(wanted):
                raise ValueError(
                    f"{name} has the inputs {sorted(shape)}, but {type(self).__name__} was fitted "
                    f"on {sorted(wanted)}; pass a dict with these."
                )
            if isinstance(shape, dict):
                self._check_entries(rows.values.fixed_shapes, name)
        elif shape != wanted:
            raise ValueError(
                f"{name} has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                f"of shape {wanted}; give them that shape."
            )

    def _check_entries(self, shapes, name):
        """Raise unless every input by name is of the kind and shape that it had in fit."""
        for key, wanted in (self._fixed_shapes or {}).items():
            if shapes[key] != wanted:
                raise ValueError(
                    f"{name}[{key!r}] holds {' '.join(map(str, shapes[key]))} a row, but "
                    f"{type(self).__name__} was fitted on {' '.join(map(str, wanted))}; pass the "
                    "same."
                )

    def _validate_target(self, X_target, source, name):
        """Return the rows of a target domain, in the form of the source's."""
        check_column_names(X_target, getattr(self, "feature_names_in_", None), name)
        rows = self._reader.read(X_target, name)
        advice = (
            "source and target must have the same features. In a pipeline, let "
            "skda.make_pipeline transform the target with the source."
        )
        if rows.kind != self._row_kind:
            raise ValueError(
                f"{name} holds {DESCRIPTIONS[rows.kind]}, X {DESCRIPTIONS[self._row_kind]} of "
                f"shape {self.input_shape_}; {advice}"
            )
        if rows.kind == "table":
            rows = Rows("table", self._checked_table(rows.values, name), None)
        elif rows.kind == "image" and rows.values.dtype == np.uint8 != source.dtype:
            # Pixels beside files, which are scaled when they are read.
            pixels = ImageRows(rows.values, None, reading=self._reader.reading)
            rows = Rows("image", pixels, rows.n_features)
        rows = self._stored(rows, name)
        values = rows.values
        if isinstance(values, StoredRows) and source.dtype == np.uint8:  # files beside pixels
            values = values.gather(torch.arange(len(values))).numpy()
        if rows.kind not in _OF_ANY_LENGTH and (
            rows.row_shape != self.input_shape_ or values.dtype != source.dtype
        ):
            raise ValueError(
                f"{name} has rows of shape {rows.row_shape} and type {values.dtype}, X of shape "
                f"{self.input_shape_} and type {source.dtype}; {advice}"
            )
        if rows.kind in _OF_ANY_LENGTH:
            self._check_shape(rows, name)
        if rows.kind == "tokens" and values.shape[1] != source.shape[1]:
            raise ValueError(
                f"{name} has token ids of length {values.shape[1]}, X of {source.shape[1]}; pad "
                "both to one length."
            )
        return values


def _is_uint8(values):
    return values.dtype in (np.uint8, torch.uint8)


def _said(error, X):
    """Return a message of scikit-learn's in a few lines, of values alone their shape."""
    said = str(error)[:_LONGEST]
    if "Reshape your data" in str(error):
        return (
            f"{said.partition(' instead')[0]}, of shape {np.shape(X)}. Reshape your data: [x] for "
            "a single row x, x.reshape(-1, 1) for a single column."
        )
    lines = []
    for line in said.splitlines():
        if [before[:2] for before in lines[-_MOST_NAMES:]] != ["- "] * _MOST_NAMES:
            lines.append(line)
        elif line[:2] != "- " or line == "- ...":
            lines.append(line)
    return "\n".join(lines)


def _remedy(error):
    if "could not convert" in str(error):
        return (
            "; columns of text need numbers: sklearn.preprocessing.OneHotEncoder or TargetEncoder "
            "in a ColumnTransformer before this estimator."
        )
    return ""
