"""Cost of `fit` over a hand-written PyTorch loop.

Both train the same module with the same losses on batches of the same size for the same number of
steps, in process time on one thread. The loop uses PyTorch's default Adam, one forward for both
domains where the method allows it, and keeps no history. Runs alternate, and the median of the
paired ratios is reported:

    python benchmarks/bench_training.py [--repeats 7] [--methods DANN WDGRL]
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import skda.adaptation
from skda.adaptation import (
    CDANClassifier,
    DAANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
    MDDClassifier,
    WDGRLClassifier,
)
from skda.datasets import load_shifted_digits
from skda.nn import MLP, Activations, ConvNet, reverse_gradient
from skda.training import AdaptationModule, progressive

BATCH = 64


def table():
    digits = load_shifted_digits(random_state=0)
    return digits.X, digits.y, digits.X_target


def images():
    rng = np.random.RandomState(0)
    X = rng.rand(640, 1, 28, 28).astype(np.float32)
    return X, rng.randint(10, size=len(X)), X[::-1] + 0.1


class Loop:
    """What the loops have in common: network, alignment, optimisers and batches."""

    def __init__(self, method, backbone, width, X, y, X_target):
        widths = {"features": width, "logits": 10}
        self.module = AdaptationModule(
            backbone,
            nn.Linear(width, 10),
            layers=tuple({*method.layers, "features", "logits"}),
            n_targets=1,
            batch_norm="domain",
        )
        self.module.rows.sizes = (BATCH, BATCH)
        method.classes_ = np.arange(10)
        self.alignment = method._make_alignment(widths)
        self.method, self.widths = method, widths
        self.X, self.X_target = torch.from_numpy(X.copy()), torch.from_numpy(X_target.copy())
        self.y = torch.from_numpy(y)
        self.prepare()

    def prepare(self):
        parameters = [*self.module.parameters(), *self.alignment.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def run(self, epochs):
        n_steps = -(-max(len(self.X), len(self.X_target)) // BATCH)
        step, total = 0, n_steps * epochs - 1
        self.module.train()
        for _ in range(epochs):
            source_order = torch.randperm(len(self.X)).repeat(2)
            target_order = torch.randperm(len(self.X_target)).repeat(2)
            for batch in range(n_steps):
                rows = slice(batch * BATCH, (batch + 1) * BATCH)
                source, target = source_order[rows], target_order[rows]
                trade_off = self.method.trade_off
                if self.method.trade_off_schedule == "progressive":
                    trade_off *= progressive(step / total)
                self.step(self.X[source], self.y[source], self.X_target[target], trade_off)
                step += 1

    def step(self, source, y, target, trade_off):
        self.optimizer.zero_grad()
        logits, layers = self.module(torch.cat([source, target]))
        loss = self.aligned(layers, y, trade_off) + cross_entropy(logits[:BATCH], y)
        loss.backward()
        self.optimizer.step()

    def aligned(self, layers, y, trade_off):
        return trade_off * self.alignment(*self.domains(layers, y))

    @staticmethod
    def domains(layers, y):
        return (
            Activations({k: x[:BATCH] for k, x in layers.items()}, (), y),
            Activations({k: x[BATCH:] for k, x in layers.items()}, ()),
        )


class ReversalLoop(Loop):
    """The adversary learns in the same step, with the gradient reversed on its way on."""

    def aligned(self, layers, y, trade_off):
        layers = {k: reverse_gradient(x, trade_off) for k, x in layers.items()}
        return self.alignment(*self.domains(layers, y))


class CriticLoop(Loop):
    """Steps of the critic on detached features, then one of the network."""

    def prepare(self):
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        self.critic_optimizer = torch.optim.Adam(self.alignment.parameters(), lr=1e-3)

    def step(self, source, y, target, trade_off):
        logits, layers = self.module(torch.cat([source, target]))
        fixed = self.domains({k: x.detach() for k, x in layers.items()}, y)
        for _ in range(self.method.n_critic):
            self.critic_optimizer.zero_grad()
            self.alignment.adversary_loss(*fixed).backward()
            self.critic_optimizer.step()
        self.optimizer.zero_grad()
        loss = cross_entropy(logits[:BATCH], y) + self.aligned(layers, y, trade_off)
        loss.backward()
        self.optimizer.step()


class TwoHeadsLoop(Loop):
    """MCD: steps A, B and C, as its paper has them."""

    def prepare(self):
        self.heads = [self.module.head, nn.Linear(self.widths["features"], 10)]
        self.generator_optimizer = torch.optim.Adam(self.module.backbone.parameters(), lr=1e-3)
        heads = [p for head in self.heads for p in head.parameters()]
        self.head_optimizer = torch.optim.Adam(heads, lr=1e-3)

    def step(self, source, y, target, trade_off):
        self.zero_grad()
        self.labels_loss(self.features(source, (BATCH,)), y).backward()
        self.generator_optimizer.step()
        self.head_optimizer.step()
        with torch.no_grad():
            fixed = self.features(source, (BATCH,)), self.features(target, (0, BATCH))
        self.zero_grad()
        (self.labels_loss(fixed[0], y) - trade_off * self.discrepancy(fixed[1])).backward()
        self.head_optimizer.step()
        for _ in range(self.method.n_generator_steps):
            self.zero_grad()
            (trade_off * self.discrepancy(self.features(target, (0, BATCH)))).backward()
            self.generator_optimizer.step()

    def zero_grad(self):
        self.generator_optimizer.zero_grad()
        self.head_optimizer.zero_grad()

    def features(self, rows, sizes):
        self.module.rows.sizes = sizes
        return self.module(rows)[1]["features"]

    def labels_loss(self, features, y):
        return sum(cross_entropy(head(features), y) for head in self.heads)

    def discrepancy(self, features):
        first, second = (head(features).softmax(dim=1) for head in self.heads)
        return (first - second).abs().mean()


LOOPS = {
    DeepCORALClassifier: Loop,
    DANClassifier: Loop,
    DANNClassifier: ReversalLoop,
    CDANClassifier: ReversalLoop,
    DAANClassifier: ReversalLoop,
    MDDClassifier: ReversalLoop,
    WDGRLClassifier: CriticLoop,
    MCDClassifier: TwoHeadsLoop,
}


def hand_written_loop(method, backbone, width, data, epochs):
    LOOPS[type(method)](method, backbone, width, *data).run(epochs)


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
        loop = process_time(hand_written_loop, method, make_backbone(), width, data, epochs)
        if repeat:  # the first pair warms up
            ratios.append(fit / loop)
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    names = [cls.__name__.removesuffix("Classifier") for cls in LOOPS]
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "MLP 64-128-64": (table(), lambda: MLP(64), 64, 20),
        "ConvNet 28x28": (images(), lambda: ConvNet(1, (28, 28)), 100, 2),
    }
    print(f"{'module':15} {'method':20} {'median':>7} {'min':>6} {'max':>6}")
    for name, setting in settings.items():
        for method in options.methods:
            estimator = getattr(skda.adaptation, f"{method}Classifier")
            ratios = measure(estimator, *setting, options.repeats)
            print(
                f"{name:15} {estimator.__name__:20} {statistics.median(ratios):7.3f} "
                f"{min(ratios):6.3f} {max(ratios):6.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
