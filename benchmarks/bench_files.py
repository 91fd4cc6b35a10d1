"""Adaptation from image files against the same from arrays that are decoded already.

120 JPEG files of two megapixels, half of them the source, train a network with CORAL for some
epochs:

- decoding: at every use (``image_store=None``);
- stored: once, in memory (``image_store="auto"``);
- file: the same in a file;
- arrays: float32 arrays of decoded images, as a user would make them;
- channels last: tensors of the same in the layout that the network likes best.

Every run is a process of its own. Of the epochs after the first the median is reported, in process
time on one thread, as ratios to the runs on arrays, paired, and their median; of the whole run how
often a file is decoded and how much memory it takes beyond what importing takes:

    python benchmarks/bench_files.py [--network mobilenetv2_100] [--epochs 10] [--repeats 3]
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from skorch.callbacks import Callback

from skda.adaptation import DeepCORALClassifier
from skda.images import ImagePreprocess, ImageRows

ARMS = ("decoding", "stored", "file", "arrays", "channels last")
N_FILES = 120


def write_images(folder):
    """Write smooth random JPEG files of two megapixels."""
    rng = np.random.RandomState(0)
    for number in range(N_FILES):
        pixels = rng.randint(256, size=(24, 32, 3)).astype(np.uint8)
        image = Image.fromarray(pixels).resize((1600, 1200), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:03}.jpg")


class Clock(Callback):
    """Process time of every epoch, in seconds."""

    def on_train_begin(self, net, **kwargs):
        self.start, self.seconds = time.process_time(), []

    def on_epoch_end(self, net, **kwargs):
        now = time.process_time()
        self.seconds.append(now - self.start)
        self.start = now


def decoded(arm, paths, size):
    """Return images as a user would decode them once and for all."""
    rows = ImageRows([str(path) for path in paths], ImagePreprocess(size=size))[:]
    return rows.contiguous(memory_format=torch.channels_last) if "last" in arm else rows.numpy()


def run(arm, paths, network, epochs):
    torch.set_num_threads(1)
    is_small = network == "convnet"
    size = 64 if is_small else 224
    store = {"decoding": None, "file": paths[0].parent / "store"}.get(arm, "auto")
    clf = DeepCORALClassifier(
        module=None if is_small else f"timm/{network}",
        weights="pretrained" if is_small else None,
        preprocess={"size": size},
        image_store=store,
        max_epochs=epochs,
        batch_size=32,
        callbacks=[Clock()],
        n_jobs=2,
        random_state=0,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with mock.patch("PIL.Image.open", wraps=Image.open) as opened:
        X, X_target = paths[: N_FILES // 2], paths[N_FILES // 2 :]
        if arm in ("arrays", "channels last"):
            X, X_target = decoded(arm, X, size), decoded(arm, X_target, size)
        clf.fit(X, np.arange(len(X)) % 10, X_target=X_target)
    seconds = time.process_time() - start
    (clock,) = (callback for _, callback in clf.net_.callbacks_ if isinstance(callback, Clock))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "reading": seconds - sum(clock.seconds),
        "epoch": statistics.median(clock.seconds[1:]),
        "decodes": opened.call_count / N_FILES,
        "memory": (peak - before) / 1024,
    }


def measure(*args):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(run, *args).result()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="mobilenetv2_100", help="of timm, or convnet")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=ARMS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        paths = sorted(Path(folder).glob("*.jpg"))
        rounds = [
            {arm: measure(arm, paths, args.network, args.epochs) for arm in args.arms}
            for _ in range(args.repeats)
        ]
    print(f"{args.network}: {'':15} reading   epoch   ratio  decodes  memory")
    for arm in args.arms:
        values = {name: [row[arm][name] for row in rounds] for name in rounds[0][arm]}
        median = {name: statistics.median(column) for name, column in values.items()}
        ratio = statistics.median(row[arm]["epoch"] / row["arrays"]["epoch"] for row in rounds)
        print(
            f"{arm:32} {median['reading']:6.2f}s {median['epoch']:6.3f}s {ratio:6.2f} "
            f"{median['decodes']:8.2f} {median['memory']:5.0f} MB"
        )


if __name__ == "__main__":
    main()
