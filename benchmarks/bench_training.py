"""Cost of `fit` over a hand-written PyTorch loop.

Both train the same module with the same losses on batches of the same size for the same number of
steps, in process time on one thread. The loop uses PyTorch's default Adam, one forward for both
domains where the method allows it, and keeps no history. Runs alternate, and the median of the
paired ratios is reported:

    python benchmarks/bench_training.py [--repeats 7] [--methods DANN ShallowDANN]
"""

import argparse
import itertools
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from skda.adaptation import (
    ADDAClassifier,
    CDANClassifier,
    CoGANClassifier,
    DAANClassifier,
    DALNClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DomainConfusionClassifier,
    DSNClassifier,
    MCDClassifier,
    MDDClassifier,
    SANClassifier,
    ShallowDANNClassifier,
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


def batches(n_rows, n_steps):
    order = torch.randperm(n_rows).repeat(2)
    return [order[step * BATCH : (step + 1) * BATCH] for step in range(n_steps)]


class Loop:
    """What the loops have in common: network, alignment, optimisers and batches."""

    def __init__(self, method, backbone, width, X, y, X_target):
        widths = {"features": width, "logits": 10}
        self.module = AdaptationModule(
            backbone,
            nn.Linear(width, 10),
            layers=tuple({*method.layers, "features", "logits"}),
            n_targets=1,
            batch_norm=method.batch_norm,
        )
        method.classes_ = np.arange(10)
        self.alignment = method.make_alignment(method.layers, widths)
        self.method, self.widths = method, widths
        self.X, self.X_target = torch.from_numpy(X.copy()), torch.from_numpy(X_target.copy())
        self.y = torch.from_numpy(y)
        self.prepare()

    def prepare(self):
        parameters = [*self.module.parameters(), *self.alignment.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def run(self, epochs):
        with self.module.rows.of((BATCH, BATCH)):
            self.train(epochs)

    def train(self, epochs):
        n_steps = -(-max(len(self.X), len(self.X_target)) // BATCH)
        step, total = 0, n_steps * epochs - 1
        self.module.train()
        for _ in range(epochs):
            source_rows, target_rows = (batches(len(x), n_steps) for x in (self.X, self.X_target))
            for source, target in zip(source_rows, target_rows, strict=True):
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


class WeightedLoop(Loop):
    """Several losses, some of them of an adversary behind a reversal."""

    def aligned(self, layers, y, trade_off):
        loss = 0.0
        for alignment, weight in self.alignment.parts():
            if alignment.adversarial:
                reversed_ = {k: reverse_gradient(x, trade_off * weight) for k, x in layers.items()}
                loss = loss + alignment(*self.domains(reversed_, y))
            else:
                loss = loss + trade_off * weight * alignment(*self.domains(layers, y))
        return loss


class HeadCriticLoop(Loop):
    """DALN: the head descends on the loss behind a reversal of the features."""

    def aligned(self, layers, y, trade_off):
        critic = self.module.head(reverse_gradient(layers["features"]))
        return trade_off * self.alignment(*self.domains({"critic": critic}, y))


class ConfusionLoop(Loop):
    """Domain confusion: a loss of the features, and one of the domain classifier."""

    def aligned(self, layers, y, trade_off):
        confusion, opponent = self.alignment(*self.domains(layers, y))
        return trade_off * confusion + opponent


class TwoStageLoop(Loop):
    """ADDA: the source alone; then an encoder of the target against a discriminator."""

    def prepare(self):
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        settings = {"lr": self.method.adaptation_lr, "betas": (0.5, 0.999)}
        self.encoder_optimizer = torch.optim.Adam(self.module.backbone.parameters(), **settings)
        self.critic_optimizer = torch.optim.Adam(self.alignment.parameters(), **settings)

    def run(self, epochs):
        with self.module.rows.of((BATCH,)):
            self.learn_source(epochs)
            self.module.eval()
            with torch.no_grad():
                encodings = self.module(self.X)[1]["features"]
        with self.module.rows.of((0, BATCH)):
            self.learn_target(epochs, encodings)

    def learn_source(self, epochs):
        self.module.train()
        for _ in range(epochs):
            for rows in batches(len(self.X), -(-len(self.X) // BATCH)):
                self.optimizer.zero_grad()
                cross_entropy(self.module(self.X[rows])[0], self.y[rows]).backward()
                self.optimizer.step()

    def learn_target(self, epochs, encodings):
        self.module.train()
        n_steps = -(-max(len(self.X), len(self.X_target)) // BATCH)
        for _ in range(epochs):
            source_rows, target_rows = (batches(len(x), n_steps) for x in (self.X, self.X_target))
            for source, target in zip(source_rows, target_rows, strict=True):
                self.adapt(encodings[source], self.X_target[target])

    def adapt(self, encodings, target):
        source = Activations({"features": encodings}, ())
        features = self.module(target)[1]["features"]
        self.critic_optimizer.zero_grad()
        fixed = Activations({"features": features.detach()}, ())
        self.alignment.adversary_loss(source, fixed).backward()
        self.critic_optimizer.step()
        self.encoder_optimizer.zero_grad()
        self.alignment(source, Activations({"features": features}, ())).backward()
        self.encoder_optimizer.step()


class RowLoop:
    """The shallow DANN: algorithm 1 of its paper, a source and a target row at a time."""

    def __init__(self, method, backbone, width, X, y, X_target):
        rng = np.random.default_rng(0)
        self.X, self.y, self.X_target = X.astype(np.float32), y, X_target.astype(np.float32)
        self.trade_off, self.lr, self.rng = method.trade_off, np.float32(method.lr), rng
        self.W = rng.uniform(-0.2, 0.2, (width, X.shape[1])).astype(np.float32)
        self.V = rng.uniform(-0.2, 0.2, (10, width)).astype(np.float32)
        self.b, self.c = np.zeros(width, np.float32), np.zeros(10, np.float32)
        self.u, self.d = np.zeros(width, np.float32), np.float32(0)
        self.one_hot = np.eye(10, dtype=np.float32)

    def run(self, epochs):
        for _ in range(epochs):
            for row in self.rng.permutation(len(self.X)):
                target = self.X_target[self.rng.integers(len(self.X_target))]
                self.step(self.X[row], self.one_hot[self.y[row]], target)

    def step(self, source, label, target):
        h = self.sigmoid(self.b + self.W @ source)
        scores = np.exp(self.c + self.V @ h)
        dc = scores / scores.sum() - label
        dV = np.outer(dc, h)
        db = (self.V.T @ dc) * h * (1 - h)
        dW = np.outer(db, source)
        # Of the domain unit, which gives the probability of the source.
        dd = self.trade_off * (1 - self.sigmoid(self.d + self.u @ h))
        du = dd * h
        change = dd * self.u * h * (1 - h)
        db, dW = db + change, dW + np.outer(change, source)
        h = self.sigmoid(self.b + self.W @ target)
        error = self.trade_off * self.sigmoid(self.d + self.u @ h)
        dd, du = dd - error, du - error * h
        change = -error * self.u * h * (1 - h)
        db, dW = db + change, dW + np.outer(change, target)
        self.W -= self.lr * dW
        self.V -= self.lr * dV
        self.b -= self.lr * db
        self.c -= self.lr * dc
        self.u += self.lr * du
        self.d += self.lr * dd

    @staticmethod
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))


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


class CoupledLoop(Loop):
    """CoGAN: the generator learns, then the discriminators with their classifier."""

    def prepare(self):
        discriminators = [*self.module.parameters(), *self.alignment.judge.parameters()]
        self.optimizer = torch.optim.Adam(discriminators, lr=1e-3)
        self.generator_optimizer = torch.optim.Adam(
            self.alignment.generator.parameters(), lr=1e-3, betas=(0.5, 0.999)
        )
        self.norms = [part for part in self.module.modules() if isinstance(part, _BatchNorm)]

    def step(self, source, y, target, trade_off):
        game, generator = self.alignment, list(self.alignment.generator.parameters())
        pair = game.generator(torch.randn(BATCH, self.method.latent_size))
        self.generator_optimizer.zero_grad()
        loss = game.generator_loss(*self.judged(pair), pair, (source, target))
        loss.backward(inputs=generator)
        self.generator_optimizer.step()
        self.optimizer.zero_grad()
        logits, layers = self.module(torch.cat([source, target]))
        fixed, _ = self.judged([rows.detach() for rows in pair])
        loss = trade_off * game(layers["features"].split(BATCH), fixed)
        (loss + cross_entropy(logits[:BATCH], y)).backward()
        self.optimizer.step()

    def judged(self, pair):
        self.track(False)
        logits, layers = self.module(torch.cat(pair))
        self.track(True)
        return layers["features"].split(BATCH), logits.split(BATCH)

    def track(self, value):
        for norm in self.norms:
            norm.track_running_stats = value


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
        discrepancy, balance = self.target_losses(fixed[1])
        (self.labels_loss(fixed[0], y) - trade_off * (discrepancy - balance)).backward()
        self.head_optimizer.step()
        for _ in range(self.method.n_generator_steps):
            self.zero_grad()
            discrepancy, balance = self.target_losses(self.features(target, (0, BATCH)))
            (trade_off * (discrepancy + balance)).backward()
            self.generator_optimizer.step()

    def zero_grad(self):
        self.generator_optimizer.zero_grad()
        self.head_optimizer.zero_grad()

    def features(self, rows, sizes):
        with self.module.rows.of(sizes):
            return self.module(rows)[1]["features"]

    def labels_loss(self, features, y):
        return sum(cross_entropy(head(features), y) for head in self.heads)

    def target_losses(self, features):
        first, second = (head(features).softmax(dim=1) for head in self.heads)
        balance = -sum(p.mean(dim=0).log().mean() for p in (first, second))
        return (first - second).abs().mean(), self.method.balance_weight * balance


LOOPS = {
    DeepCORALClassifier: Loop,
    DANClassifier: Loop,
    DANNClassifier: ReversalLoop,
    CDANClassifier: ReversalLoop,
    DAANClassifier: ReversalLoop,
    MDDClassifier: ReversalLoop,
    SANClassifier: WeightedLoop,
    DSNClassifier: WeightedLoop,
    DALNClassifier: HeadCriticLoop,
    DomainConfusionClassifier: ConfusionLoop,
    WDGRLClassifier: CriticLoop,
    MCDClassifier: TwoHeadsLoop,
    CoGANClassifier: CoupledLoop,
    ADDAClassifier: TwoStageLoop,
    ShallowDANNClassifier: RowLoop,
}
METHODS = {cls.__name__.removesuffix("Classifier"): (cls, loop) for cls, loop in LOOPS.items()}


def hand_written_loop(loop, method, backbone, width, data, epochs):
    loop(method, backbone, width, *data).run(epochs)


def process_time(function, *args, **kwargs):
    start = time.process_time()
    function(*args, **kwargs)
    return time.process_time() - start


def measure(name, data, make_backbone, width, epochs, repeats):
    estimator, loop = METHODS[name]
    # The shallow DANN has a network of its own.
    params = {} if estimator is ShallowDANNClassifier else {"module": make_backbone}
    method = estimator(max_epochs=epochs, random_state=0, device="cpu", **params)
    X, y, X_target = data
    ratios = []
    for repeat in range(repeats + 1):
        fit = process_time(method.fit, X, y, X_target=X_target)
        by_hand = process_time(
            hand_written_loop, loop, method, make_backbone(), width, data, epochs
        )
        if repeat:  # the first pair warms up
            ratios.append(fit / by_hand)
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "MLP 64-128-64": (table(), lambda: MLP(64), 64, 20),
        "ConvNet 28x28": (images(), lambda: ConvNet(1, (28, 28)), 100, 2),
    }
    print(f"{'module':15} {'method':20} {'median':>7} {'min':>6} {'max':>6}")
    for module, method in itertools.product(settings, options.methods):
        if method == "ShallowDANN" and module != "MLP 64-128-64":
            continue  # takes tables
        ratios = measure(method, *settings[module], options.repeats)
        print(
            f"{module:15} {method:20} {statistics.median(ratios):7.3f} "
            f"{min(ratios):6.3f} {max(ratios):6.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
