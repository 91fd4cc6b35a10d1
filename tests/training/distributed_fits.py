"""What processes do that ``test_processes.py`` starts; each leaves what it comes to in a file."""

import io
import multiprocessing
import os
import pickle
import sys
import threading
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback, Checkpoint
from torch import nn
from torch.utils.checkpoint import checkpoint

from skda.adaptation import (
    AutoDIALClassifier,
    CDANClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
    ShallowDANNClassifier,
    WDGRLClassifier,
)
from skda.base import DeepAdaptationClassifier, estimator
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import AdaptationNet, PairedBatches, per_row

# Of two processes one has a row more of every domain.
SHORT = {"max_epochs": 2, "batch_size": 15, "random_state": 0}
PLAIN = {"module__batch_norm": False}


def rows(seed=0):
    """Source rows and labels, and target rows, of which no domain is a multiple of a batch."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((44, 6)).astype("float32")
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
    return X, y, (X[:26] + rng.standard_normal(6)).astype("float32")


def _add_noise(row):
    return row + 0.1 * torch.rand(row.shape)


def _fine_tune(X, y, Xt):
    first = FineTuneClassifier(**SHORT, distributed=False).fit(X, y)
    clf = FineTuneClassifier(module=first, n_frozen=1, layer_decay=0.5, **SHORT)
    return clf.fit(Xt, y[: len(Xt)])


def _fit(cls, X, y, Xt, targets=1, **params):
    target = Xt if targets == 1 else (Xt, Xt[:16] + 1)
    return cls(**{**SHORT, **params}).fit(X, y, X_target=target)


# Before a batch norm the gradient of a bias is rounding alone, of which Adam makes whole steps.
def _convolution(in_features):
    layers = [
        nn.Unflatten(1, (1, in_features)),
        nn.Conv1d(1, 4, 3, bias=False),
        nn.BatchNorm1d(4),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.Flatten())


class _Checkpointed(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.4)
        )

    def forward(self, x):
        return checkpoint(self.layers, x, use_reentrant=False)


def _fit_few_labels(X, y, Xt):
    labels = np.where(np.arange(len(Xt)) < 9, y[: len(Xt)], -1)
    return DANNClassifier(**SHORT).fit(X, y, X_target=Xt, y_target=labels)


def _fit_partially(X, y, Xt):
    clf = DANNClassifier(**SHORT, module__dropout=0.2)
    for part in (slice(0, 30), slice(14, 44)):
        clf.partial_fit(X[part], y[part], [0, 1, 2], X_target=Xt)
    return clf


# By name; all come to the same in one process and in several.
FITS = {
    **{
        f"{cls.__name__}, {what}": partial(_fit, cls, **params)
        for cls in (DANNClassifier, DeepCORALClassifier, DANClassifier, CDANClassifier)
        for what, params in {
            "domain": {"batch_norm": "domain"},
            "shared": {"batch_norm": "shared"},
            "none": PLAIN,
        }.items()
    },
    "source only": partial(_fit, DeepCORALClassifier, trade_off=0.0),
    "fine-tuning": _fine_tune,
    "few labels": _fit_few_labels,
    "two targets": partial(_fit, DANNClassifier, targets=2),
    "convolution": partial(_fit, DeepCORALClassifier, module=_convolution, batch_norm="shared"),
    "checkpointed": partial(_fit, DeepCORALClassifier, module=_Checkpointed, batch_norm="shared"),
    "gradients of batches": partial(_fit, DANNClassifier, gradient_accumulation_steps=2),
    "recomputed": partial(
        _fit, DANNClassifier, gradient_checkpointing=True, module__dropout=0.4, batch_norm="shared"
    ),
    "recomputed, domain": partial(_fit, DeepCORALClassifier, gradient_checkpointing=True),
    "mixed norms": partial(_fit, AutoDIALClassifier),
    "two players": partial(_fit, WDGRLClassifier),
    "turns": partial(_fit, MCDClassifier),
    "generated rows": partial(_fit, CoGANClassifier),
    "dropout": partial(_fit, DANNClassifier, module__dropout=0.4),
    "augmented": partial(_fit, DANNClassifier, augment=per_row(_add_noise)),
    "held out": partial(_fit, DANNClassifier, early_stopping=True, n_iter_no_change=1),
    "shares": partial(_fit, DANNClassifier, target_shares="estimate", max_epochs=3),
    "call by call": _fit_partially,
}


def outcome(clf, X):
    """Return weights, losses and predictions."""
    state = {name: value.double().numpy() for name, value in clf.net_.module_.state_dict().items()}
    losses = {name: clf.history_[:, name] for name in clf.history_[-1] if name.endswith("loss")}
    return state, losses, clf.predict_proba(X)


def message_of(function, *args, **kwargs):
    """Return the type and text of the error that a call raises."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


class OwnBackward(AdaptationNet):
    """A net that passes over what averages gradients."""

    def backward(self, loss, inputs=None):
        loss.backward(inputs=inputs)


class OwnOrder(PairedBatches):
    """Batches in an order that depends on the process."""

    def draw_epoch(self):
        self.generators[0].manual_seed(int(os.environ["RANK"]))
        return super().draw_epoch()


class DrawingLayer(nn.Module):
    """Notes what it draws for every row."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def forward(self, x):
        noise = torch.rand(x.shape)
        if self.training:
            self.drawn.append(noise.numpy())
        return x + noise


class BatchMean(nn.Module):
    """A layer that looks at all rows of a batch."""

    def forward(self, x):
        return x - x.mean(dim=0) if self.training else x


class SizeNote(nn.Identity):
    """Notes how many rows the network sees."""

    seen: list = []

    def forward(self, x):
        if self.training:
            SizeNote.seen.append(len(x))
        return x


class StopsAlone(Callback):
    """Ends the training of one process."""

    def on_epoch_end(self, net, **kwargs):
        if os.environ["RANK"] == "1":
            raise KeyboardInterrupt


@estimator
class _OwnBackwardClassifier(DeepAdaptationClassifier):
    """Trains otherwise in every process."""

    net_class = OwnBackward


@estimator
class _OwnOrderClassifier(DeepAdaptationClassifier):
    """Draws otherwise in every process."""

    iterator_class = OwnOrder


def refusals(X, y, Xt, rank):
    """Return the messages of what processes cannot do together."""
    fit = partial(_fit, DANNClassifier, X, y, Xt)
    return {
        "rows": message_of(_fit, DANNClassifier, X, y, Xt + rank),
        "labels": message_of(_fit, DANNClassifier, X, np.roll(y, rank), Xt),
        "parameters": message_of(fit, trade_off=1.0 + rank),
        "calls": message_of(_fit, (DANNClassifier, DANClassifier)[rank], X, y, Xt),
        "one stops": message_of(fit, callbacks=[StopsAlone()]),
        "own backward": message_of(_fit, _OwnBackwardClassifier, X, y, Xt),
        "own order": message_of(_fit, _OwnOrderClassifier, X, y, Xt),
        "own batch mean": message_of(fit, module=nn.Sequential(BatchMean(), nn.Linear(6, 4))),
        "compile": message_of(fit, compile=True),
        "own steps": message_of(ShallowDANNClassifier(max_epochs=1).fit, X, y, X_target=Xt),
        "other device": message_of(fit, device="meta"),
        "fits": message_of(fit),  # all goes on after these
    }


def alone(X, y, Xt, rank):
    """Return what fits come to that are no matter of several processes."""
    done = {}

    def in_thread():
        done["thread"] = _outcome_alone(X, y, Xt)
        done["asked in a thread"] = message_of(_fit, DANNClassifier, X, y, Xt, distributed=True)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        done["fork"] = pool.apply(_outcome_alone, (X, y, Xt))
    if rank == 0:  # nothing waits for the other process
        done["not distributed"] = _outcome_alone(X, y, Xt, distributed=False)
    return done


def _outcome_alone(X, y, Xt, **params):
    return outcome(_fit(DANNClassifier, X, y, Xt, **params), Xt)


def writing(folder, X, y, Xt, rank):
    """Return what a training printed, and leave its files."""
    printed = io.StringIO()
    files = Checkpoint(monitor="train_loss_best", dirname=str(folder / f"files-{rank}"))
    with redirect_stdout(printed):
        _fit(DANNClassifier, X, y, Xt, verbose=2, callbacks=[files])
    return printed.getvalue()


class Cut(Callback):
    """Ends training with an error."""

    epoch = 1

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > Cut.epoch:
            raise RuntimeError("cut")


def resumed(folder, X, y, Xt):
    """Return the error that cut a training, and what it came to when it went on."""
    params = {"checkpoint": str(folder / "resumed"), "module__dropout": 0.4, "callbacks": [Cut()]}
    clf = DANNClassifier(**SHORT, **params)
    message = message_of(clf.fit, X, y, X_target=Xt)
    Cut.epoch = SHORT["max_epochs"]
    return message, outcome(clf.fit(X, y, X_target=Xt, resume=True), Xt)


def main(folder):
    """Do all of it, and write what it came to."""
    torch.set_num_threads(1)
    rank, (X, y, Xt) = int(os.environ["RANK"]), rows()
    found = {"fits": {name: outcome(fit(X, y, Xt), Xt) for name, fit in FITS.items()}}
    torch.manual_seed(rank)
    own = MLP(6)  # of other weights in every process
    clf = _fit(DANNClassifier, X, y, Xt, module=own, random_state=None)
    found["unseeded"] = outcome(clf, Xt)
    found["pickle"] = pickle.dumps(clf)
    layers = nn.Sequential(SizeNote(), DrawingLayer(), nn.Linear(6, 4))
    drawing = _fit(DANNClassifier, X, y, Xt, module=layers)
    found["drawn"] = drawing.net_.module_.backbone[1].drawn
    found["seen"] = SizeNote.seen
    found["refusals"] = refusals(X, y, Xt, rank)
    found["alone"] = alone(X, y, Xt, rank)
    found["printed"] = writing(folder, X, y, Xt, rank)
    found["resumed"] = resumed(folder, X, y, Xt)
    if rank == 0:
        clf.predict(Xt)  # without the other process
    (folder / f"{rank}.pkl").write_bytes(pickle.dumps(found))


def fail(rank):
    """Fail in one process, in the middle of an epoch."""

    class Fails(Callback):
        def on_batch_end(self, net, **kwargs):
            if rank == 1:
                raise RuntimeError("this process fails")

    _fit(DANNClassifier, *rows(), callbacks=[Fails()], max_epochs=10_000)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    fail(int(os.environ["RANK"]))
