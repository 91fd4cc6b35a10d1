"""Nets that can predict, and go on learning where nothing but optimisers was left out."""

import copy
from typing import Any

from torch import nn

from skda.training._parts import NetPart

# What callbacks keep of a training: a scheduler and with it the optimiser, and the best weights,
# which early stopping does not pickle either.
_OF_CALLBACKS = ("lr_scheduler_", "best_model_weights_")
_ADVICE = (
    "it was left out when the estimator was pickled or saved; fit again, or set "
    "keep_training_state=True before fit and store the estimator with pickle"
)


def without_training_state(net: Any, *, keep_alignment: bool = False) -> Any:
    """Return a net that shares the network of another one, without what only training needs.

    Parameters
    ----------
    net : AdaptationNet
        Trained; it stays as it is.

    keep_alignment : bool, default=False
        Whether the alignment is needed after training too.

    Returns
    -------
    net : AdaptationNet
        Without optimisers, which begin anew where training goes on, and without the alignment:
        a net that had one cannot go on.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MLP
    >>> from skda.training import AdaptationModule, AdaptationNet, without_training_state
    >>> net = AdaptationNet(AdaptationModule(MLP(2), torch.nn.Linear(64, 2))).initialize()
    >>> slim = without_training_state(net)
    >>> slim.module_ is net.module_, hasattr(net, "optimizer_"), hasattr(slim, "optimizer_")
    (True, True, False)
    """
    slim = object.__new__(type(net))
    state = dict(vars(net))
    for name in state.get("_optimizers", ()):
        state.pop(f"{name}_", None)
    if state.get("alignment") is not None and not keep_alignment:
        state.update(alignment=None, alignment_=nn.Identity(), _lacks_alignment=True)
    if "callbacks_" in state:
        state["callbacks_"] = [(name, _slim_callback(part)) for name, part in state["callbacks_"]]
    vars(slim).update(state)  # past skorch, which registers what is set
    return slim


def _slim_callback(callback):
    if not any(hasattr(callback, name) for name in _OF_CALLBACKS):
        return callback
    slim = copy.copy(callback)
    for name in _OF_CALLBACKS:
        vars(slim).pop(name, None)
    return slim


class SlimMixin(NetPart):
    """A net that knows what it lacks of its training."""

    _lacks_alignment = False

    def __getattr__(self, name: str) -> Any:
        # For what is not there: a net says why.
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name.endswith("optimizer_") and vars(self).get("initialized_"):
            message += f": {_ADVICE}."
        raise AttributeError(message)

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Make optimisers where there are none, or raise if more than they is missing."""
        if self._lacks_alignment:
            name = type(self).__name__
            raise ValueError(f"{name} cannot go on training without its alignment: {_ADVICE}.")
        if not all(f"{name}_" in vars(self) for name in self._optimizers):
            self._initialize_optimizer()
            for group in self._param_groups():
                group["initial_lr"] = group["lr"]  # for schedulers that go on
        super().on_train_begin(net, X, y, **kwargs)
