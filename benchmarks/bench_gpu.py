"""Speed on a GPU: what skda does over loops written by hand, of one run on one device.

Fits are compared with a loop written by hand, as it stands, recorded as one CUDA graph per step,
and compiled; extraction, in batches whose size is found out and in such of 32, with the same
network in a plain loop; a search with one fit per candidate.
All that is compared alternates in one process, and the medians of the paired ratios of wall times
are reported, with the device's work waited for:

    python benchmarks/bench_gpu.py [--device cuda] [--limit 150] [--json FILE] [--quick]

Above 1, skda takes longer. Parts that would begin after the limit (seconds) are left out.
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from bench_training import BATCH, LOOPS, batches
from sklearn.base import clone
from torch import nn

from skda._optional import import_optional
from skda.adaptation import (
    CDANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
)
from skda.feature_extraction import DeepFeatureExtractor
from skda.losses import coral
from skda.nn import MLP, ConvNet

METHODS = (DeepCORALClassifier, DANClassifier, DANNClassifier, CDANClassifier, MCDClassifier)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(function, device):
    wait(device)
    start = time.perf_counter()
    function()
    wait(device)
    return time.perf_counter() - start


def paired(functions, device, repeats):
    """Return the median seconds of each function, and the median ratio of the first to each."""
    runs = [[seconds(f, device) for f in functions.values()] for _ in range(repeats + 1)][1:]
    columns = dict(zip(functions, zip(*runs, strict=True), strict=True))
    first = next(iter(columns.values()))
    return {
        "seconds": {name: statistics.median(column) for name, column in columns.items()},
        "ratios": {
            name: statistics.median(a / b for a, b in zip(first, column, strict=True))
            for name, column in list(columns.items())[1:]
        },
    }


# -- fits -------------------------------------------------------------------------------------


def on_device(loop_class, device):
    """Return the loop of the CPU as one whose networks, rows and optimisers are on a device."""

    class OnDevice(loop_class):
        def prepare(self):
            self.module.to(device)
            self.alignment.to(device)
            self.X, self.X_target, self.y = (x.to(device) for x in (self.X, self.X_target, self.y))
            super().prepare()
            for head in getattr(self, "heads", []):
                head.to(device)
            for value in vars(self).values():
                if isinstance(value, torch.optim.Optimizer):
                    for group in value.param_groups:
                        group["capturable"] = device == "cuda"
            self.rows = torch.zeros(2, BATCH, dtype=torch.int64, device=device)
            self.act = self.act_eagerly

        def act_eagerly(self):
            source, target = self.rows
            X, y = self.X.index_select(0, source), self.y.index_select(0, source)
            self.step(X, y, self.X_target.index_select(0, target), 0.5)

        def record(self):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side), self.module.rows.of((BATCH, BATCH)):
                for _ in range(3):
                    self.act_eagerly()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with self.module.rows.of((BATCH, BATCH)), torch.cuda.graph(graph):
                self.act_eagerly()
            self.act = graph.replay

        def train(self, epochs):
            n_steps = -(-max(len(self.X), len(self.X_target)) // BATCH)
            self.module.train()
            for _ in range(epochs):
                both = [batches(len(x), n_steps) for x in (self.X, self.X_target)]
                orders = torch.stack([torch.stack(list(x)) for x in both], 1).to(device)
                for order in orders:
                    self.rows.copy_(order)
                    self.act()

    return OnDevice


def rows_of(kind, n):
    rng = np.random.RandomState(0)
    shape = (64,) if kind == "MLP" else (1, 28, 28)
    X, y = rng.rand(n, *shape).astype(np.float32), rng.randint(10, size=n)
    return X, y, X[::-1] + np.float32(0.1)


def bench_fit(cls, kind, device, n_rows, epochs, repeats):
    make = (lambda: MLP(64)) if kind == "MLP" else (lambda: ConvNet(1, (28, 28)))
    width = 64 if kind == "MLP" else 100
    data = rows_of(kind, n_rows)
    clf = cls(module=make, max_epochs=epochs, random_state=0, device=device)
    new = lambda: on_device(LOOPS[cls], device)(clf, make(), width, *data)  # noqa: E731
    eager = new()
    functions = {
        "skda": lambda: clf.fit(data[0], data[1], X_target=data[2]),
        "eager": lambda: eager.run(epochs),
    }
    note = ""
    if device == "cuda":
        graph = new()
        graph.module.train()
        try:
            graph.record()
            functions["graph"] = lambda: graph.run(epochs)
        except RuntimeError as error:
            note = f"no graph: {str(error)[:80]}"
    result = paired(functions, device, repeats)
    n_steps = epochs * -(-n_rows // BATCH)
    result["ms per step"] = {k: 1e3 * v / n_steps for k, v in result["seconds"].items()}
    return {**result, **({"note": note} if note else {})}


# -- features ---------------------------------------------------------------------------------


def mean_of_layer(network, X, device, batch_size, dtype):
    """Return the features of a network by a plain loop, from an array or a tensor."""
    out = []
    with torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
        for start in range(0, len(X), batch_size):
            rows = torch.as_tensor(X[start : start + batch_size]).to(device, non_blocking=True)
            rows = rows.to(memory_format=torch.channels_last)
            out.append(network(rows).float())
    return torch.cat(out).cpu()


def bench_features(source, device, n_rows, size, repeats):
    models = import_optional("torchvision", "vision").models
    network = models.mobilenet_v2(weights=None)
    network.classifier = nn.Identity()
    network = network.to(memory_format=torch.channels_last).eval()
    dtype = torch.float16 if device == "cuda" else torch.float32
    extractor, of_32 = (
        DeepFeatureExtractor(network, device=device, batch_size=size, random_state=0)
        for size in ("auto", 32)
    )
    by_hand = network if device == "cpu" else copy.deepcopy(network).to(device)
    batch_size = 256 if device == "cuda" else 16
    X = np.random.RandomState(0).rand(n_rows, 3, size, size).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        if source == "resident":
            X = torch.from_numpy(X).to(device)
        given = X
        if source == "JPEG files":
            given = write_pictures(Path(folder), n_rows, size)
        for each in (extractor, of_32):
            each.fit(given[: min(len(given), 32)])
        functions = {
            "skda": lambda: extractor.transform(given),
            "skda, batches of 32": lambda: of_32.transform(given),
            "eager": lambda: mean_of_layer(by_hand, X, device, batch_size, dtype),
        }
        if source == "JPEG files":
            functions["decoding"] = lambda: [decode(path) for path in given]
        result = paired(functions, device, repeats)
        exact = clone(extractor).set_params(precision="float32").fit(given[:1]).transform(given)
        drift = torch.as_tensor(extractor.transform(given) - exact).norm()
    result["rows per second"] = {k: n_rows / v for k, v in result["seconds"].items()}
    result["relative drift"] = float(drift / torch.as_tensor(exact).norm())
    result["rows of a batch"] = extractor._size_on(extractor._device_for(given)).rows
    return result


def write_pictures(folder, n_rows, size):
    image = import_optional("PIL.Image", "vision")
    rng = np.random.RandomState(0)
    paths = []
    for row in range(n_rows):
        coarse = image.fromarray(rng.randint(256, size=(12, 12, 3)).astype(np.uint8))
        paths.append(str(folder / f"{row}.jpg"))
        coarse.resize((size, size)).save(paths[-1], quality=90)
    return paths


def decode(path):
    return np.asarray(import_optional("PIL.Image", "vision").open(path).convert("RGB"))


# -- a large network --------------------------------------------------------------------------


def bench_resnet(device, n_rows, size, batch_size, repeats):
    """A fit of a ResNet-50 in bfloat16 over loops by hand in channels_last."""
    models = import_optional("torchvision", "vision").models
    rng = np.random.RandomState(0)
    X, y = rng.rand(n_rows, 3, size, size).astype(np.float32), rng.randint(10, size=n_rows)
    make = models.resnet50 if size > 64 else models.resnet18

    def backbone():
        network = make(weights=None)
        network.fc = nn.Identity()
        return network

    width = 2048 if size > 64 else 512
    clf = DeepCORALClassifier(
        module=backbone(), max_epochs=1, batch_size=batch_size, precision="bfloat16", device=device,
        batch_norm="shared", random_state=0,
    )  # fmt: skip
    network = nn.Sequential(backbone(), nn.Linear(width, 10)).to(device)
    network = network.to(memory_format=torch.channels_last).train()
    rows = torch.from_numpy(X).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(y).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def loop(forward):
        for start in range(0, n_rows, batch_size):
            source = rows[start : start + batch_size]
            target = rows.flip(0)[start : start + batch_size] + 0.1
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16):
                logits = forward(torch.cat([source, target]))
            first, second = logits.float().split([len(source), len(target)])
            loss = nn.functional.cross_entropy(first, labels[start : start + batch_size])
            (loss + coral(first, second)).backward()
            optimizer.step()

    functions = {
        "skda": lambda: clf.fit(X, y, X_target=X[::-1] + np.float32(0.1)),
        "eager": lambda: loop(network),
    }
    if device == "cuda":
        compiled = torch.compile(network)
        functions["compiled"] = lambda: loop(compiled)
    return paired(functions, device, repeats)


# -- searches ---------------------------------------------------------------------------------


def bench_search(device, n_candidates, n_rows, epochs, repeats):
    """A search of trade-offs over plain fits of the same networks one by one."""
    from sklearn.model_selection import GridSearchCV, KFold

    import skda.model_selection as model_selection

    X, y, X_target = rows_of("MLP", n_rows)
    clf = DANNClassifier(max_epochs=epochs, random_state=0, device=device)
    grid = {"trade_off": list(np.linspace(0.0, 2.0, n_candidates))}
    search_class = getattr(model_selection, "StackedSearchCV", GridSearchCV)
    folds = KFold(3)

    def search():
        search_class(clf, grid, cv=folds, refit=False, scoring="accuracy").fit(
            X, y, X_target=X_target
        )

    def one_by_one():
        train, _ = next(folds.split(X))
        clone(clf).fit(X[train], y[train], X_target=X_target)

    result = paired({"skda": search, "one fit": one_by_one}, device, repeats)
    result["fits it is worth"] = result["ratios"]["one fit"]
    result["fits"] = 3 * n_candidates
    result["class"] = search_class.__name__
    return result


# -- all --------------------------------------------------------------------------------------


def jobs(device, quick):
    n, epochs, repeats = (128, 1, 1) if quick else (2000, 4, 3)
    kinds = {"MLP": METHODS, "ConvNet": METHODS}
    for kind, methods in kinds.items():
        for cls in methods[:1] if quick else methods:
            name = f"fit, {kind}, {cls.__name__.removesuffix('Classifier')}"
            yield name, lambda c=cls, k=kind: bench_fit(c, k, device, n, epochs, repeats)
    n, size = (8, 32) if quick else (1024, 224)
    for source in ("resident", "host arrays", "JPEG files"):
        yield (
            f"features, MobileNetV2, {source}",
            lambda s=source: bench_features(s, device, n, size, repeats),
        )
    search = (2, 60, 1, 1) if quick else (24, 600, 3, 1)
    yield "search", lambda: bench_search(device, *search)
    large = (8, 32, 4, 1) if quick else (512, 224, 64, 2)
    yield "fit, ResNet-50, bfloat16", lambda: bench_resnet(device, *large)


def run(device, *, quick=False, limit=150.0, keep=lambda results: None):
    """Return the results of all parts by name; parts that fail say why."""
    begun, results = time.perf_counter(), {}
    for name, job in jobs(device, quick):
        if time.perf_counter() - begun > limit:
            results[name] = {"note": "left out: out of time"}
            continue
        start = time.perf_counter()
        try:
            results[name] = job()
        except Exception as error:
            traceback.print_exc()
            results[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
        results[name]["took"] = time.perf_counter() - start
        print(f"{name:40} {line(results[name])}", flush=True)
        keep(results)
    return results


def line(result):
    ratios = " ".join(f"{k} {v:7.3f}" for k, v in result.get("ratios", {}).items())
    more = {k: v for k, v in result.items() if k not in ("ratios", "seconds", "took")}
    for name, value in more.items():
        if isinstance(value, dict):
            more[name] = {k: float(f"{v:.4g}") for k, v in value.items()}
    return f"skda / {ratios} | {more}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--limit", type=float, default=150.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}")

    def keep(results):
        if options.json:
            text = json.dumps({"device": name, "torch": torch.__version__, "results": results})
            options.json.write_text(text)

    return run(options.device, quick=options.quick, limit=options.limit, keep=keep)


if __name__ == "__main__":
    main()
