"""What cuts a training, and copies of what it had come to by then."""

import signal

import torch
from skorch.callbacks import Callback

import skda.adaptation
from skda.adaptation import CoGANClassifier, ShallowDANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.fine_tuning import FineTuneClassifier

CLASSIFIERS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
] + [FineTuneClassifier]


def press_ctrl_c():
    """Send this process what the keyboard sends."""
    signal.raise_signal(signal.SIGINT)


class Watch(Callback):
    """Copies the network at the end of every epoch, and presses Ctrl-C in a hook."""

    # Of the last training, whatever the number of its nets, each of which has a copy of this.
    epochs: list = []
    calls = 0

    @classmethod
    def reset(cls):
        """Forget the last training."""
        cls.epochs, cls.calls = [], 0

    def __init__(self, hook=None, at=1):
        self.hook, self.at = hook, at

    def _called(self, hook):
        if hook == self.hook:
            Watch.calls += 1
            if Watch.calls == self.at:
                press_ctrl_c()

    def on_epoch_begin(self, net, **kwargs):
        self._called("epoch_begin")

    def on_grad_computed(self, net, **kwargs):
        self._called("gradient")

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self._called("batch_end")

    def on_epoch_end(self, net, **kwargs):
        self._called("epoch_end")
        Watch.epochs.append(state_of(net))


def state_of(net):
    """Return copies of all tensors of a net."""
    parts = {"module": net.module_, "alignment": net.alignment_, "criterion": net.criterion_}
    return {
        f"{name}.{path}": value.detach().clone()
        for name, part in parts.items()
        if isinstance(part, torch.nn.Module)
        for path, value in part.state_dict().items()
    }


def make(cls, **params):
    """Return an estimator whose epochs have few steps."""
    if cls is not ShallowDANNClassifier:
        params = {"batch_size": 100, **params}
    return cls(**{"max_epochs": 3, "random_state": 0, **params})


def fit_args(cls, few):
    """Return the arguments of fit of an estimator."""
    X, X_target = few["X"], few["X_target"]
    if cls is CoGANClassifier:  # generates images
        X, X_target = (rows.reshape(-1, 1, 8, 8).astype("float32") for rows in (X, X_target))
    metadata = {} if cls is FineTuneClassifier else {"X_target": (X_target,)}
    return (X, few["y"]), metadata
