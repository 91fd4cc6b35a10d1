"""What the parameters `module`, `weights` and ``module__*`` of an estimator stand for."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import nn

from skda.backbones._factories import build_backbone
from skda.backbones._names import layer_names, make_named_backbone
from skda.backbones._weights import load_weights
from skda.nn import DomainLayer


class BackboneResolver:
    """From what a user gives for a network to the network.

    Extraction, fine-tuning and adaptation all get theirs here. A named network says how images
    become its inputs, and so is built before the rows are known; others are built for the shape
    of the rows.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory, fitted estimator or None
        As documented by the estimators.

    weights : "pretrained", path, mapping or None
        As documented by the estimators.

    keywords : dict
        Those given as ``module__*``.

    sha256 : str, default=None
        Of the file of weights, in hexadecimal.

    Attributes
    ----------
    preprocess : callable or None
        The network's own, from a PIL image to its input; of a named network after `start`.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones import BackboneResolver
    >>> resolver = BackboneResolver(None, "pretrained", {"hidden_layer_sizes": (8,)})
    >>> resolver.start()
    >>> resolver.build((3,))(torch.zeros(2, 3)).shape
    torch.Size([2, 8])
    """

    _named: Any

    def __init__(
        self, module: Any, weights: Any, keywords: Mapping[str, Any], *, sha256: str | None = None
    ):
        self.module, self.weights, self.keywords, self.sha256 = module, weights, keywords, sha256
        # A fitted estimator knows how images became its inputs.
        self.preprocess = getattr(module, "preprocess_", None)
        self._named = None

    def start(self) -> None:
        """Build a named network; its random weights are those of torch's generator now."""
        if isinstance(self.module, str):
            self._named, self.preprocess = make_named_backbone(
                self.module, self.weights, self.keywords, sha256=self.sha256
            )

    @property
    def has_weights(self) -> bool:
        """Whether the network comes with weights that are worth keeping."""
        if isinstance(self.module, str):
            return self.weights is not None
        return isinstance(self.module, nn.Module | BaseEstimator) or self._loads_weights

    @property
    def _loads_weights(self):
        return self.weights not in ("pretrained", None)

    def layer_paths(self, layers: Iterable[str]) -> list[str]:
        """Return the paths of layers, some of which the literature has other names for."""
        paths = layer_names(self.module)
        return [paths.get(layer, layer) for layer in layers]

    def build(self, input_shape: Sequence[int]) -> nn.Module:
        """Return a network for rows of one shape: new, a copy, or all of a fitted estimator's.

        Parameters
        ----------
        input_shape : tuple of int
            (n_features,) or (n_channels, height, width).

        Returns
        -------
        network : torch.nn.Module
            Of a fitted estimator a :class:`skda.training.AdaptationModule`.
        """
        module = self.module
        if isinstance(module, BaseEstimator):
            module = network_of(module, "module")
        return self._build(module, input_shape)

    def build_to_train(
        self, input_shape: Sequence[int], *, standardizes: bool = False
    ) -> nn.Module:
        """Return a network for rows of one shape, all of which can learn, on the CPU.

        Parameters
        ----------
        input_shape : tuple of int
            (n_features,) or (n_channels, height, width).

        standardizes : bool, default=False
            Whether the new estimator standardizes rows by domain.

        Returns
        -------
        backbone : torch.nn.Module
            Of a fitted estimator a copy of its backbone.

        Raises
        ------
        ValueError
            If the backbone of a fitted estimator takes standardized rows, and the new estimator
            does not standardize.
        """
        module = self.module
        if isinstance(module, BaseEstimator):
            module = self._backbone_of(module, standardizes)
        network = self._build(module, input_shape)
        if network is self._named:
            return network
        return DomainLayer.keep_target(network.cpu())  # left by an earlier training

    def _build(self, module, input_shape) -> nn.Module:
        if isinstance(module, str):
            if self._named is None:
                self.start()
            return cast(nn.Module, self._named)
        if isinstance(module, nn.Module):
            network = self._copy(module)
        else:
            network = build_backbone(module, input_shape, self.keywords)
        if self._loads_weights:
            load_weights(network, self.weights, sha256=self.sha256)
        return network

    def _copy(self, instance):
        what = f"module is an instance of {type(instance).__name__}"
        if self.keywords:
            raise TypeError(
                f"module__{min(self.keywords)}: {what} and built already; pass the class instead, "
                "or leave out the module__ keywords."
            )
        if self.weights is None:
            raise ValueError(
                f"weights: None asks for random weights, but {what} and has its own; pass a class "
                "instead, or leave weights at 'pretrained'."
            )
        return copy.deepcopy(instance)

    def _backbone_of(self, fitted, standardizes):
        module = copy.deepcopy(network_of(fitted, "module"))
        if module.standardizer is not None and not standardizes:
            raise ValueError(
                f"module: this {type(fitted).__name__} was fitted with standardize='domain', and "
                "its backbone takes standardized rows; fit it with standardize=None, or let both "
                "standardize."
            )
        while module.frozen:
            module.unfreeze()
        return module.backbone


def network_of(fitted: Any, name: str) -> Any:
    """Return the network of a fitted estimator.

    Parameters
    ----------
    fitted : estimator
        A deep estimator of this package.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    module : skda.training.AdaptationModule
        Its network, no copy.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not hasattr(fitted, "net_"):
        raise NotFittedError(
            f"{name}: this {type(fitted).__name__} is not fitted; fit it first. If it was, it has "
            "been cloned: wrap it in sklearn.frozen.FrozenEstimator."
        )
    return fitted.net_.module_
