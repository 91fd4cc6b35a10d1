"""Faults put into long work, and what is left of it: prints a table of what was survived.

``python benchmarks/bench_faults.py`` runs all; names choose some, ``--kills`` says how many. A
fault is a function in ``FAULTS``: it is called with the number of tries, and yields for every try
what it was and None, or what went wrong. Processes are forked, and die by SIGKILL.
"""

import argparse
import errno
import inspect
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import LRScheduler

import skda._safetensors
from skda import adaptation
from skda.base import DeepAdaptationClassifier
from skda.exceptions import DivergenceError
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import AdaptationNet

Outcome = tuple[str, str | None]

_RANDOM = np.random.RandomState(0)
X = _RANDOM.randn(48, 6).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
X_TARGET = _RANDOM.randn(40, 6).astype("float32") + 0.5
Y_TARGET = np.where(np.arange(40) < 6, X_TARGET[:, 0] > 0.5, -1)


# -- trainings ------------------------------------------------------------------------------------


class _Network(MLP):
    """Layers with batch norms and dropout."""

    def __init__(self, in_features):
        super().__init__(in_features, hidden_layer_sizes=(12, 8), dropout=0.3)


def trainings() -> dict[str, Callable]:
    """Return by name a function from further parameters to an estimator, and what fit takes."""
    common = dict(max_epochs=3, batch_size=16, random_state=0, device="cpu")
    network = dict(module=_Network)
    found = {}

    def add(name, cls, data, **params):
        known = inspect.signature(cls).parameters
        shared = {name: value for name, value in common.items() if name in known}
        found[name] = lambda **more: (cls(**{**shared, **params, **more}), data)

    pair = dict(X=X, y=Y, X_target=X_TARGET)
    for name in adaptation.__all__:
        cls = getattr(adaptation, name)
        if not (isinstance(cls, type) and issubclass(cls, DeepAdaptationClassifier)):
            continue
        takes_network = "module" in inspect.signature(cls).parameters
        own = _OWN.get(name, network if takes_network else {})
        data = {**pair, "y_target": Y_TARGET} if name == "LabelEfficientClassifier" else pair
        add(name, cls, data, **own)
    adda, dann = adaptation.ADDAClassifier, adaptation.DANNClassifier
    add("ADDA, labelled target", adda, {**pair, "y_target": Y_TARGET}, **network)
    add("AutoDIAL, two targets", adaptation.AutoDIALClassifier, _two_targets(pair))
    add("TLDA, logistic", adaptation.TLDAClassifier, pair, classifier="logistic")
    add("DANN, early stopping", dann, pair, early_stopping=True, n_iter_no_change=1, max_epochs=6)
    add("MCD, held-out rows", adaptation.MCDClassifier, pair, validation_fraction=0.2, **network)
    scheduler = LRScheduler("StepLR", step_size=2)
    add("DANN, scheduler", dann, pair, callbacks=[("rates", scheduler)], **network)
    add("DANN, every 2", dann, pair, checkpoint_every=2, **network)
    add("WDGRL, SGD", adaptation.WDGRLClassifier, pair, optimizer="sgd", optimizer__momentum=0.9)
    source = dict(X=X, y=Y)
    add("FineTune", FineTuneClassifier, source, **network)
    add("FineTune, unfreezing", FineTuneClassifier, source, n_frozen=2, unfreeze_every=1)
    return found


_OWN = {
    "SDAEClassifier": dict(pretrain_epochs=2, max_epochs=2),
    "TLDAClassifier": {},
}


def _two_targets(data):
    return {**data, "X_target": (X_TARGET[:20], X_TARGET[20:])}


def what_it_learned(estimator) -> dict:
    """Return weights, histories without durations, and predictions."""
    histories = [estimator.history_, getattr(estimator, "source_history_", [])]
    histories += getattr(estimator, "pretrain_history_", [])
    rows = [{k: v for k, v in row.items() if k != "dur"} for h in histories for row in h]
    tensors = {name: t.detach().cpu().clone() for name, t in estimator.net_._tensors()}
    return {
        "tensors": tensors,
        "history": repr(rows),
        "probabilities": torch.from_numpy(estimator.predict_proba(X_TARGET)),
    }


def difference(first: dict, second: dict) -> str | None:
    """Say in what two trainings differ, to the bit."""
    if list(first["tensors"]) != list(second["tensors"]):
        return "other tensors"
    for name, tensor in first["tensors"].items():
        if not torch.equal(tensor, second["tensors"][name]):
            return f"{name} differs"
    if first["history"] != second["history"]:
        return "the history differs"
    if not torch.equal(first["probabilities"], second["probabilities"]):
        return "predictions differ"
    return None


# -- processes that die ---------------------------------------------------------------------------


def in_process(
    work: Callable[[], object], kill_at: int | None = None, kill_after: float | None = None
) -> tuple[object, int]:
    """Call a function in a forked process, which dies at a moment; return its result, and moments.

    Moments are counted: steps, hooks of the net, and what is done with files; `kill_after` is a
    time in seconds. ``None`` stands for the result of a process that died.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.pt"
        pid = os.fork()
        if not pid:
            code = 1
            try:
                moments = _count_moments(kill_at)
                warnings.simplefilter("ignore")
                result = work()
                torch.save((result, moments[0]), path)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return None, 0
        if status:
            raise RuntimeError(f"the process ended with status {status}")
        return torch.load(path, weights_only=True)


def _count_moments(kill_at):
    """Let every moment of this process be counted, and one of them be its last."""
    moments = [0]

    def counted(function):
        def call(*args, **kwargs):
            moments[0] += 1
            if moments[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for owner, name in (
        (AdaptationNet, "notify"),
        (AdaptationNet, "train_step"),
        (AdaptationNet, "step_optimizers"),
        (AdaptationNet, "initialize"),
        (os, "replace"),
        (os, "fsync"),
        (Path, "unlink"),
        (skda._safetensors, "_order"),
    ):
        setattr(owner, name, counted(getattr(owner, name)))
    return moments


def fit_in(folder, make, resume="auto", **more):
    """Fit with checkpoints, and return what was learned."""
    estimator, data = make(checkpoint=folder, **more)
    return what_it_learned(estimator.fit(**data, resume=resume))


def kills(n_tries: int, names=None, seed: int = 0) -> Iterator[Outcome]:
    """Kill trainings of every method at random moments, and go on until they are over."""
    draw = random.Random(seed)
    makers = {name: make for name, make in trainings().items() if names is None or name in names}
    expected = {}
    while n_tries > 0:
        for name, make in makers.items():
            if n_tries <= 0:
                return
            with tempfile.TemporaryDirectory() as folder:
                if name not in expected:
                    expected[name] = in_process(lambda make=make: _plain(make))[0]
                    _, n_moments = in_process(lambda: fit_in(Path(folder) / "x", make))  # noqa: B023
                    expected[name] = expected[name], n_moments
                wanted, n_moments = expected[name]
                result, deaths = None, []
                for _ in range(2):  # a training that goes on dies too
                    kill_at = draw.randint(1, n_moments)
                    result, _ = in_process(lambda: fit_in(folder, make), kill_at)  # noqa: B023
                    if result is None:
                        deaths.append(kill_at)
                n_tries -= len(deaths)
                result, _ = in_process(lambda: fit_in(folder, make))  # noqa: B023
                yield f"{name}, killed at {deaths} of {n_moments}", difference(wanted, result)


def warm_up():
    """Import what a training needs, so that the processes that are forked have it."""
    _plain(trainings()["DANNClassifier"])


def _plain(make):
    estimator, data = make()
    return what_it_learned(estimator.fit(**data))


# -- other faults ---------------------------------------------------------------------------------


def interruptions(n_tries: int) -> Iterator[Outcome]:
    """Ctrl-C in a step, at the end of an epoch, and while a checkpoint is written."""
    make = trainings()["ADDAClassifier"]
    wanted = in_process(lambda: _plain(make))[0]
    for moment, (owner, name) in {
        "in a step": (AdaptationNet, "train_step"),
        "at the end of an epoch": (AdaptationNet, "on_epoch_end"),
        "while a checkpoint is written": (os, "fsync"),
    }.items():
        for every in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                resumed = in_process(
                    lambda: _interrupted(make, folder, owner, name, every)  # noqa: B023
                )[0]
                yield f"Ctrl-C {moment}, every={every}", difference(wanted, resumed)


def _interrupted(make, folder, owner, name, every):
    original, calls = getattr(owner, name), [0]

    def call(*args, **kwargs):
        calls[0] += 1
        if calls[0] == 5:
            signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    setattr(owner, name, call)
    try:
        fit_in(folder, make, resume=False, checkpoint_every=every)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("nothing was interrupted")
    setattr(owner, name, original)
    return fit_in(folder, make, resume=True, checkpoint_every=every)


def full_disks(n_tries: int) -> Iterator[Outcome]:
    """A disk that is full at the second checkpoint, and stays so: training ends, and goes on."""
    for name in ("DANNClassifier", "ADDAClassifier"):
        make = trainings()[name]
        wanted = in_process(lambda: _plain(make))[0]  # noqa: B023
        with tempfile.TemporaryDirectory() as folder:
            results = in_process(lambda: _on_full_disk(make, folder))[0]  # noqa: B023
        for what, result in results.items():
            yield f"{name}, {what}", difference(wanted, result)


def _on_full_disk(make, folder):
    original, calls = os.fsync, [0]

    def fsync(descriptor):
        calls[0] += 1
        if calls[0] > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(descriptor)

    os.fsync = fsync
    through = fit_in(folder, make, resume=False)
    os.fsync = original
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    assert not left, left
    return {"trained through": through, "gone on with": fit_in(folder, make, resume=True)}


def divergences(n_tries: int) -> Iterator[Outcome]:
    """A loss that is not finite: the epoch before it is kept, and is what goes on."""
    make = trainings()["DANNClassifier"]
    wanted = in_process(lambda: _plain(make))[0]
    with tempfile.TemporaryDirectory() as folder:
        yield "DANN", difference(wanted, in_process(lambda: _diverging(make, folder))[0])


def _diverging(make, folder):
    original, calls = AdaptationNet.train_step_single, [0]

    def train_step_single(self, *args, **kwargs):
        step = original(self, *args, **kwargs)
        calls[0] += 1
        return {**step, "loss": step["loss"] * float("nan")} if calls[0] == 8 else step

    AdaptationNet.train_step_single = train_step_single
    try:
        fit_in(folder, make, resume=False)
    except DivergenceError:
        pass
    else:
        raise AssertionError("nothing diverged")
    AdaptationNet.train_step_single = original
    return fit_in(folder, make, resume=True)


def cache_kills(n_tries: int) -> Iterator[Outcome]:
    """Kill processes that fill one cache of features at random moments, and read it afterwards."""
    rows = np.random.RandomState(0).rand(2000, 6).astype("float32")
    network = _Network(6).eval()
    wanted = torch.from_numpy(DeepFeatureExtractor(network).fit_transform(rows))
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:

        def fill():
            # In small batches, so that a kill finds rows that are written and others.
            extractor = DeepFeatureExtractor(network, batch_size=8, cache=folder)
            return torch.from_numpy(extractor.fit_transform(rows))

        start = time.perf_counter()
        in_process(
            lambda: bool(DeepFeatureExtractor(network, batch_size=8).fit_transform(rows).size)
        )
        seconds = time.perf_counter() - start
        for _ in range(min(n_tries, 50)):
            in_process(fill, kill_after=draw.uniform(0, 2 * seconds))
            features, _ = in_process(fill)
            same = torch.allclose(features, wanted, atol=1e-6)
            yield "cache of features", None if same else "features differ"
            shutil.rmtree(folder)


# By name, from the number of tries to outcomes.
FAULTS: dict[str, Callable[[int], Iterator[Outcome]]] = {
    "kill -9 in training": kills,
    "kill -9 while features are cached": cache_kills,
    "Ctrl-C": interruptions,
    "full disk while a checkpoint is written": full_disks,
    "divergence": divergences,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", default=list(FAULTS))
    parser.add_argument(
        "--kills", type=int, default=100, help="two of each method at most, 50 of the cache"
    )
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    warm_up()
    print(f"{'fault':45}{'tries':>8}{'survived':>10}{'seconds':>10}")
    for name in options.faults:
        start, n_tries, n_survived, failures = time.perf_counter(), 0, 0, []
        for what, wrong in FAULTS[name](options.kills):
            n_tries, n_survived = n_tries + 1, n_survived + (wrong is None)
            if options.verbose:
                print(f"  {what}: {wrong or 'as if nothing had happened'}")
            elif wrong is not None:
                failures.append(f"  {what}: {wrong}")
        seconds = time.perf_counter() - start
        print(f"{name:45}{n_tries:8}{n_survived:10}{seconds:10.1f}")
        print("\n".join(failures), end="\n" * bool(failures))


if __name__ == "__main__":
    main()
