"""Cost of the losses, forward and backward, next to those of other libraries.

Losses are compared with as many kernels on the same features, in process time on one thread. Runs
alternate, and the median of the paired ratios is reported: how many times as long the other
library takes.
Libraries that are not installed are left out:

    pip install skada pytorch-adapt
    python benchmarks/bench_losses.py [--repeats 15]
"""

import argparse
import importlib.util
import statistics
import time

import torch

from skda import losses

BATCHES, WIDTHS, CLASSES = (64, 256, 1024), (256, 2048), 31
FIVE = (0.25, 0.5, 1.0, 2.0, 4.0)


def skada():
    """Losses of features, and of predictions: by name, ours and theirs of a batch."""
    from skada.deep.losses import dan_loss, deepcoral_loss, deepjdot_loss, mcc_loss

    # Its kernels are Laplacian, of distances that are not squared.
    features = {
        "coral": (
            lambda b: losses.coral(b.source, b.target),
            lambda b: deepcoral_loss(b.source, b.target),
        ),
        "mmd, 5 kernels, fixed": (
            lambda b: losses.mmd(b.source, b.target, bandwidth=b.squared),
            lambda b: dan_loss(b.source, b.target, [m * b.distance for m in FIVE]),
        ),
        "mmd, 33 kernels": (
            lambda b: losses.mmd(b.source, b.target, multipliers=losses.DAN_MULTIPLIERS),
            lambda b: dan_loss(b.source, b.target),
        ),
    }
    predictions = {
        "mcc": (
            lambda b: losses.minimum_class_confusion(b.logits[1]),
            lambda b: mcc_loss(b.logits[1], T=2.5),
        ),
    }
    if importlib.util.find_spec("ot"):
        weights = {"feature_weight": 1e-3, "label_weight": 1e-4}
        features["transport"] = (
            lambda b: losses.transport_cost(b.source, b.target, b.labels, b.logits[1], **weights),
            lambda b: deepjdot_loss(b.labels, b.logits[1], b.source, b.target, 1e-3, 1e-4),
        )
    return features, predictions


def pytorch_adapt():
    """Losses of features, and of predictions: by name, ours and theirs of a batch."""
    from pytorch_adapt import layers

    five, family = (1 / torch.tensor(kernels) for kernels in (FIVE, losses.DAN_MULTIPLIERS))
    quadratic, linear = (layers.MMDLoss(five, kind) for kind in ("quadratic", "linear"))
    many = layers.MMDLoss(family, "quadratic")
    coral, mcc = layers.CORALLoss(), layers.MCCLoss(T=2.5)
    norm, bnm, entropy = layers.AdaptiveFeatureNorm(), layers.BNMLoss(), layers.EntropyLoss()

    def joint(b):
        return (b.source, b.probabilities[0]), (b.target, b.probabilities[1])

    features = {
        "coral": (
            lambda b: losses.coral(b.source, b.target),
            lambda b: coral(b.source, b.target),
        ),
        "mmd, 5 kernels": (
            lambda b: losses.mmd(b.source, b.target, estimator="unbiased"),
            lambda b: quadratic(b.source, b.target),
        ),
        "mmd, 33 kernels": (
            lambda b: losses.mmd(
                b.source, b.target, multipliers=losses.DAN_MULTIPLIERS, estimator="unbiased"
            ),
            lambda b: many(b.source, b.target),
        ),
        "mmd, linear time": (
            lambda b: losses.mmd(b.source, b.target, estimator="linear"),
            lambda b: linear(b.source, b.target),
        ),
        "joint_mmd": (
            lambda b: losses.joint_mmd(*joint(b), estimator="unbiased"),
            lambda b: quadratic(*map(list, joint(b))),
        ),
        "joint_mmd, linear time": (
            lambda b: losses.joint_mmd(*joint(b), estimator="linear"),
            lambda b: linear(*map(list, joint(b))),
        ),
        "feature norm": (
            lambda b: losses.adaptive_feature_norm(b.source),
            lambda b: norm(b.source),
        ),
    }
    predictions = {
        "mcc": (
            lambda b: losses.minimum_class_confusion(b.logits[1]),
            lambda b: mcc(b.logits[1]),
        ),
        "nuclear norm": (
            lambda b: losses.batch_nuclear_norm(b.logits[1]),
            lambda b: bnm(b.logits[1]),
        ),
        "entropy": (
            lambda b: losses.entropy(b.logits[1]),
            lambda b: entropy(b.logits[1]),
        ),
    }
    return features, predictions


class Batch:
    """Features, logits and labels of two domains."""

    def __init__(self, rows, width=1):
        rng = torch.Generator().manual_seed(0)
        self.source = torch.randn(rows, width, generator=rng).requires_grad_()
        self.target = (1.2 * torch.randn(rows, width, generator=rng) + 0.1).requires_grad_()
        self.logits = [torch.randn(rows, CLASSES, generator=rng).requires_grad_() for _ in "st"]
        self.probabilities = [x.detach().softmax(dim=1).requires_grad_() for x in self.logits]
        self.labels = torch.arange(rows) % CLASSES
        self.squared = torch.pdist(self.source.detach()[:64]).square().median().item()
        self.distance = self.squared**0.5
        self.leaves = [self.source, self.target, *self.logits, *self.probabilities]

    def seconds(self, loss, calls):
        start = time.process_time()
        for _ in range(calls):
            for leaf in self.leaves:
                leaf.grad = None
            loss(self).backward()
        return (time.process_time() - start) / calls


def compare(batch, ours, theirs, repeats):
    """Median time of ours, and median of the paired ratios."""
    times = []
    # As many calls as take some milliseconds; the first warms up.
    batch.seconds(theirs, 1), batch.seconds(ours, 1)
    calls = max(1, int(1e-2 / max(batch.seconds(theirs, 2), batch.seconds(ours, 2))))
    for _ in range(repeats):
        times.append((batch.seconds(ours, calls), batch.seconds(theirs, calls)))
    own = statistics.median(time for time, _ in times)
    return own, statistics.median(other / time for time, other in times)


def table(pairs, sizes, repeats):
    print(f"{'':24}" + "".join(f"{' x '.join(map(str, size)):>18}" for size in sizes))
    ratios = []
    for name, (ours, theirs) in pairs.items():
        print(f"{name:24}", end="", flush=True)
        for size in sizes:
            own, ratio = compare(Batch(*size), ours, theirs, repeats)
            ratios.append(ratio)
            print(f"{f'{ratio:.2f} ({1e3 * own:.2f})':>18}", end="", flush=True)
        print()
    print(f"median {statistics.median(ratios):.2f}, least {min(ratios):.2f}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="part of the name of the losses to time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [(n,) for n in BATCHES]
    features = [(n, width) for width in WIDTHS for n in BATCHES]
    for name, library in (("skada", skada), ("pytorch_adapt", pytorch_adapt)):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed\n")
            continue
        print(f"{name}: its time over ours (ours in ms), by rows of a domain, and features")
        for pairs, sizes in zip(library(), (features, rows), strict=True):
            chosen = {loss: pair for loss, pair in pairs.items() if arguments.only in loss}
            if chosen:
                table(chosen, sizes, arguments.repeats)


if __name__ == "__main__":
    main()
