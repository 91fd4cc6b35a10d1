"""What the layers of a fitted network make of the rows of a domain."""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from skorch.dataset import Dataset

from skda._naming import naming
from skda.backbones import layer_names
from skda.feature_extraction import FeatureModule
from skda.training import OWN_LAYERS, to_device


def layer_features(estimator, X, layers, *, is_source, name="X"):
    """Return the activations of layers, one row per row of X.

    Whether the network was trained to record these layers does not matter.

    Parameters
    ----------
    estimator : DeepClassifier
        A fitted deep estimator.

    X : array-like
        Rows, as in fit.

    layers : sequence of str
        ``"inputs"``, ``"features"``, ``"logits"``, or paths of submodules of the backbone, whose
        maps are averaged over positions.

    is_source : bool
        Whether rows are normalised as rows of the source, or of the target.

    name : str, default="X"
        Of the parameter that holds the rows, for messages.

    Returns
    -------
    features : dict of str to ndarray of shape (n_samples, n_features)
        In float32.
    """
    net, module = estimator.net_, estimator.net_.module_
    names = layer_names(estimator.module)
    inside = [layer for layer in dict.fromkeys(layers) if layer not in OWN_LAYERS]
    with naming("layers", "names of layers of the network"):
        extract = FeatureModule(
            module, ["features", *(names.get(layer, layer) for layer in inside)], "avg"
        )
    with naming(name, "rows as the estimator takes them"):
        X = estimator._validate_X(X, reset=False)
    net._set_training(False)
    parts = []
    with net.source_statistics() if is_source else nullcontext(), torch.inference_mode():
        for batch, _ in net.get_iterator(Dataset(X, length=len(X))):
            inputs = module.as_input(to_device(batch, net.device))
            if isinstance(inputs, Mapping) and "inputs" in layers:
                raise ValueError(
                    "layers: 'inputs' of texts or of inputs by name are no layer to compare; name "
                    "others, such as 'features'."
                )
            values = dict(zip(["features", *inside], extract(inputs), strict=True))
            if not isinstance(inputs, Mapping):
                standardize = module.standardizer or torch.nn.Identity()
                values["inputs"] = standardize(inputs)
            values["logits"] = module.head(values["features"])
            parts.append([values[layer].flatten(1).float().cpu() for layer in layers])
    columns = map(torch.cat, zip(*parts, strict=True))
    return {layer: rows.numpy() for layer, rows in zip(layers, columns, strict=True)}
