"""Cost of `fit` over a hand-written PyTorch loop.

Both train the same module with the same losses on batches of the same size for the same number of
steps, in process time on one thread. The loop uses PyTorch's default Adam, one forward for both
domains, and keeps no history. Runs alternate, and the median of the paired ratios is reported:

    python benchmarks/bench_training.py [--repeats 7]
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn

from skda.adaptation import DANClassifier, DANNClassifier, DeepCORALClassifier
from skda.datasets import load_shifted_digits
from skda.nn import MLP, ConvNet, reverse_gradient
from skda.training import AdaptationModule, progressive

BATCH = 64


def table():
    digits = load_shifted_digits(random_state=0)
    return digits.X, digits.y, digits.X_target


def images():
    rng = np.random.RandomState(0)
    X = rng.rand(640, 1, 28, 28).astype(np.float32)
    return X, rng.randint(10, size=len(X)), X[::-1] + 0.1


def hand_written_loop(method, backbone, width, X, y, X_target, epochs):
    module = AdaptationModule(
        backbone, nn.Linear(width, 10), layers=method.layers, n_targets=1, batch_norm="domain"
    )
    module.rows.sizes = (BATCH, BATCH)
    alignment = method._make_alignment({"features": width, "logits": 10})
    is_adversarial = isinstance(method, DANNClassifier)
    parameters = [*module.parameters(), *alignment.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    X, X_target = torch.from_numpy(X.copy()), torch.from_numpy(X_target.copy())
    y = torch.from_numpy(y)
    n_steps = -(-max(len(X), len(X_target)) // BATCH)
    step, total = 0, n_steps * epochs - 1
    module.train()
    for _ in range(epochs):
        source_order = torch.randperm(len(X)).repeat(2)
        target_order = torch.randperm(len(X_target)).repeat(2)
        for batch in range(n_steps):
            rows = slice(batch * BATCH, (batch + 1) * BATCH)
            source, target = source_order[rows], target_order[rows]
            optimizer.zero_grad()
            logits, layers = module(torch.cat([X[source], X_target[target]]))
            trade_off = method.trade_off
            if method.trade_off_schedule == "progressive":
                trade_off *= progressive(step / total)
            if is_adversarial:
                layers = {k: reverse_gradient(x, trade_off) for k, x in layers.items()}
            loss = alignment(
                {k: x[:BATCH] for k, x in layers.items()},
                {k: x[BATCH:] for k, x in layers.items()},
            )
            if not is_adversarial:
                loss = trade_off * loss
            loss = loss + nn.functional.cross_entropy(logits[:BATCH], y[source])
            loss.backward()
            optimizer.step()
            step += 1


def process_time(function, *args, **kwargs):
    start = time.process_time()
    function(*args, **kwargs)
    return time.process_time() - start


def measure(estimator, data, make_backbone, width, epochs, repeats):
    method = estimator(module=make_backbone, max_epochs=epochs, random_state=0, device="cpu")
    X, y, X_target = data
    ratios = []
    for repeat in range(repeats + 1):
        fit = process_time(method.fit, X, y, X_target=X_target)
        loop = process_time(
            hand_written_loop, method, make_backbone(), width, X, y, X_target, epochs
        )
        if repeat:  # the first pair warms up
            ratios.append(fit / loop)
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    settings = {
        "MLP 64-128-64": (table(), lambda: MLP(64), 64, 20),
        "ConvNet 28x28": (images(), lambda: ConvNet(1, (28, 28)), 100, 2),
    }
    print(f"{'module':15} {'method':20} {'median':>7} {'min':>6} {'max':>6}")
    for name, setting in settings.items():
        for estimator in (DeepCORALClassifier, DANClassifier, DANNClassifier):
            ratios = measure(estimator, *setting, repeats)
            print(
                f"{name:15} {estimator.__name__:20} {statistics.median(ratios):7.3f} "
                f"{min(ratios):6.3f} {max(ratios):6.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
