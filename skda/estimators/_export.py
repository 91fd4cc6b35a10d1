"""Trained networks for other programs: plain modules of torch, and files of ONNX."""

from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

import skda
from skda.estimators._folding import fold_network
from skda.estimators._onnx import describe_preprocess, write_onnx
from skda.estimators._parts import EstimatorPart


class ExportMixin(EstimatorPart):
    """What an estimator has learned, without the estimator."""

    def to_torch(self, output: str = "logits", *, domain: Any = "target") -> nn.Module:
        """Return the trained network as a module of torch alone.

        What is there for every domain is there once: batch norms have the statistics of the
        domain, and the standardisation of its inputs is a layer of its own. The module can be
        traced, exported, pickled and trained further; nothing in it refers to the estimator.

        Parameters
        ----------
        output : {"logits", "features", "probabilities"}, default="logits"
            What it returns for a batch of rows, a tensor of shape (n, n_classes) or
            (n, n_features).

        domain : {"target", "source"} or int, default="target"
            Whose rows it is for; a number is that of one of several target domains.

        Returns
        -------
        network : torch.nn.Module
            A copy in float32, on the CPU and in eval mode. Its parts are called ``standardizer``,
            ``backbone``, ``bottleneck``, ``head`` and ``softmax``, as far as there are any, and
            ``network.backbone.state_dict()`` has the keys of the module that was passed as
            `module`. Images go in as floats of shape (n, C, H, W), as `preprocess_` makes them of
            pictures, or divided by 255 where it is None; inputs by name as keywords.

        Raises
        ------
        ValueError
            If there is no such output or domain.

        Examples
        --------
        >>> import torch
        >>> from skda.adaptation import DANNClassifier
        >>> from skda.datasets import load_shifted_digits
        >>> digits = load_shifted_digits(random_state=0)
        >>> clf = DANNClassifier(max_epochs=2, random_state=0)
        >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
        >>> network = clf.to_torch("probabilities")
        >>> rows = torch.from_numpy(digits.X_target).float()
        >>> torch.allclose(network(rows).double(), torch.from_numpy(clf.predict_proba(rows)))
        True
        """
        check_is_fitted(self)
        shape = self.input_shape_
        by_name = isinstance(shape, dict) or self._row_kind == "text"
        n_dims = 0 if by_name else len(shape) + 1
        network: Any = fold_network(
            self.net_.module_, output, domain, n_dims=n_dims, by_name=by_name
        )
        # A task may predict fewer classes than the head has outputs.
        fold_head = getattr(self._task, "fold_head", None)
        if fold_head is not None and output != "features":
            fold_head(network.head)
        return network

    def to_onnx(self, path: Any, output: str = "logits", *, domain: Any = "target") -> None:
        """Write the trained network to a file of ONNX, for any number of rows at a time.

        Its input is called ``"input"`` and is what :meth:`to_torch` takes, its output is called as
        `output`. The metadata (``metadata_props``) hold ``classes``, ``input_shape``, ``layout``,
        ``preprocess`` (size, crop, mean and deviation of images), ``kind`` of rows and the version
        of ``skda``, in JSON.

        Parameters
        ----------
        path : str or path
            Of the file, which is written whole or not at all.

        output : {"logits", "features", "probabilities"}, default="logits"
            As of :meth:`to_torch`.

        domain : {"target", "source"} or int, default="target"
            As of :meth:`to_torch`.

        Raises
        ------
        ValueError
            If there is no such output or domain, if the network takes inputs by name or cannot be
            converted, or has more than 2 GB.

        ImportError
            If onnx or onnxscript is missing: ``pip install "skda[onnx]"``.
        """
        network = self.to_torch(output, domain=domain)
        metadata = {"classes": self.classes_.tolist()} if hasattr(self, "classes_") else {}
        write_onnx(
            network,
            path,
            example=example_input(self.input_shape_, self._row_kind),
            output=output,
            metadata={**metadata, "output": output, **describe_rows(self)},
        )


def example_input(shape: Any, kind: str) -> torch.Tensor:
    """Return two rows of zeros; ValueError where rows are not of one shape."""
    if isinstance(shape, dict) or kind == "text":
        raise ValueError(
            "to_onnx takes networks of one tensor, and this one takes inputs by name; use "
            "to_torch and torch.onnx.export with an example of yours."
        )
    dtype = torch.int64 if kind == "tokens" else torch.float32
    return torch.zeros(2, *shape, dtype=dtype, device="cpu")


def describe_rows(estimator: Any) -> dict[str, Any]:
    """Return what a program must know of the rows that a network takes."""
    kind = estimator._row_kind
    return {
        "skda": skda.__version__,
        "kind": kind,
        "input_shape": list(estimator.input_shape_),
        **describe_preprocess(estimator.preprocess_, kind),
    }
