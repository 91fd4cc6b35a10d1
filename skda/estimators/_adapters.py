"""Adapters of an estimator's module: when there can be some, and what becomes of them."""

from typing import Any

from skda.backbones import add_adapters, check_adapters
from skda.rows import forward_batch
from skda.training import Training, without_training_state


def add_adapters_to(estimator: Any, training: Training) -> None:
    """Give the backbone of a training adapters, if the parameters of an estimator ask for some.

    Parameters
    ----------
    estimator : DeepEstimator
        Whose `adapter` and ``adapter__*`` count.

    training : skda.training.Training
        With a backbone.

    Raises
    ------
    ImportError
        If the library of adapters is not installed.

    TypeError, ValueError
        If the weights are random, if other parameters ask for what adapters cannot do, or if a
        keyword is unknown.
    """
    keywords = estimator.params_for("adapter")
    if estimator.adapter is None:
        if keywords:
            raise ValueError(f"adapter__{min(keywords)} was given, but adapter is None; set it.")
        return
    start = f"adapter={estimator.adapter!r}"
    if not training.resolver.has_weights:
        raise ValueError(
            f"{start} leaves the weights of the module as they are, but these are random; give a "
            "module that comes with weights, or leave adapter at None."
        )
    if estimator.freeze == "all":
        raise ValueError(
            f"{start} does not go with freeze='all', by which nothing of the module learns, "
            "adapters neither; leave one of them out."
        )
    for name, idle in (("warm_start", False), ("unfreeze_every", None)):
        value = getattr(estimator, name, idle)
        if value != idle:
            raise ValueError(
                f"{start} does not go with {name}={value!r}: adapters become part of the weights "
                f"at the end of fit, and nothing else learns. Leave {name} at {idle}; "
                "module=estimator goes on from a fitted one."
            )
    add_adapters(training.backbone, keywords)


def check_adapters_of(estimator: Any, training: Training, example: Any) -> None:
    """Raise if adapters cannot become part of the weights of a backbone.

    Parameters
    ----------
    estimator : DeepEstimator
        Whose `adapter` counts.

    training : skda.training.Training
        With a backbone.

    example : torch.Tensor of shape (2, ...), or dict of tensors
        Rows as the backbone takes them.

    Raises
    ------
    ValueError
        If it would be another network with them than it has been trained.
    """
    if estimator.adapter is not None:
        check_adapters(training.backbone, lambda network: forward_batch(network, example))


def merge_adapters_of(estimator: Any) -> None:
    """Let what the adapters of a fitted estimator have learned be part of its weights.

    Parameters
    ----------
    estimator : DeepEstimator
        Fitted; its optimisers, which know adapters alone, go.
    """
    estimator.net_.module_.merge_adapters()
    estimator.net_ = without_training_state(estimator.net_, keep_alignment=True)
    estimator._position.training = estimator._position.predecessor = None
