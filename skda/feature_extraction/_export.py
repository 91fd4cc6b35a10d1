"""The network of an extractor for other programs."""

import copy
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skda.estimators import describe_rows, example_input, fold_network, write_onnx
from skda.feature_extraction._features import FeatureModule
from skda.feature_extraction._parts import ExtractorPart
from skda.feature_extraction._versions import image_versions
from skda.training import AdaptationModule


class ExportMixin(ExtractorPart):
    """What an extractor computes, without the extractor."""

    def to_torch(self) -> nn.Module:
        """Return the network with all that makes features of its activations, as one module.

        Returns
        -------
        network : torch.nn.Module
            From inputs, as `preprocess_` makes them, to features of shape (n, n_features_out): a
            copy in float32, on the CPU and in eval mode. ``network.backbone`` is a copy of
            ``module_``; of a fitted estimator what its own ``to_torch`` returns. Inputs by name go
            in as a dict.

        Examples
        --------
        >>> import torch
        >>> from skda.datasets import load_shifted_digits
        >>> from skda.feature_extraction import DeepFeatureExtractor
        >>> X = load_shifted_digits(random_state=0).X
        >>> extractor = DeepFeatureExtractor(layers=("hidden1", "features"), random_state=0)
        >>> network = extractor.fit(X).to_torch()
        >>> network(torch.from_numpy(X).float()).shape
        torch.Size([898, 192])
        """
        check_is_fitted(self)
        layers, module = self._layer_paths(), self.module_
        if isinstance(module, AdaptationModule):
            shape: Any = self.input_shape_
            n_dims = 0 if isinstance(shape, dict) else len(shape) + 1
            by_name = isinstance(shape, dict)
            module = fold_network(module, "features", "target", n_dims=n_dims, by_name=by_name)
            layers = [name if name == "features" else f"backbone.{name}" for name in layers]
        else:
            module = copy.deepcopy(module).cpu()
        return FeatureNetwork(
            module.eval(),
            layers,
            pooling=self.pooling,
            augment=self.augment,
            power=self.power,
            normalize=self.normalize,
        ).eval()

    def to_onnx(self, path: Any) -> None:
        """Write the network to a file of ONNX, for any number of rows at a time.

        Its input is called ``"input"`` and is what :meth:`to_torch` takes, its output
        ``"features"``. The metadata (``metadata_props``) hold ``input_shape``, ``layout``,
        ``preprocess`` (size, crop, mean and deviation of images), ``layers`` with their number of
        features, ``kind`` of rows and the version of ``skda``, in JSON.

        Parameters
        ----------
        path : str or path
            Of the file, which is written whole or not at all.

        Raises
        ------
        ValueError
            If the network takes inputs by name or cannot be converted, or has more than 2 GB.

        ImportError
            If onnx or onnxscript is missing: ``pip install "skda[onnx]"``.
        """
        network = self.to_torch()
        write_onnx(
            network,
            path,
            example=example_input(self.input_shape_, self._row_kind),
            output="features",
            metadata={"layers": self.layer_sizes_, **describe_rows(self)},
        )


class FeatureNetwork(nn.Module):
    """From inputs of a network to the finished features of :class:`DeepFeatureExtractor`.

    Parameters
    ----------
    backbone : torch.nn.Module
        The network.

    layers : sequence of str
        Paths of submodules, or ``"features"``.

    pooling, augment, power, normalize
        As of the extractor.
    """

    def __init__(
        self,
        backbone: nn.Module,
        layers: Any,
        *,
        pooling: str | None,
        augment: str,
        power: float,
        normalize: bool,
    ):
        super().__init__()
        self.backbone, self.layers, self.pooling = backbone, tuple(layers), pooling
        self.augment, self.power, self.normalize = augment, power, normalize

    def forward(self, x: Any) -> torch.Tensor:
        """Return features of shape (n, n_features)."""
        # Made anew for every batch, so that it never stops before the end of the network.
        versions = [
            torch.cat(FeatureModule(self.backbone, self.layers, self.pooling)(version), dim=1)
            for version in image_versions(x, self.augment)
        ]
        return finish_features(sum(versions) / len(versions), self.power, self.normalize)


def finish_features(features: Any, power: float, normalize: bool) -> torch.Tensor:
    """Return features after the signed power, and at unit norm."""
    if power != 1:
        features = features.sign() * features.abs().pow(power)
    if normalize:
        norms = features.norm(dim=1, keepdim=True)
        features = features / norms.where(norms > 0, 1)
    return features
