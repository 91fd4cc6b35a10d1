"""Deep features per second, from files and from arrays, over what else a user might write.

From JPEG files to features:

- loop: timm's network in eager float32 behind a DataLoader;
- embetter: the pipeline ``ImageLoader -> TimmEncoder`` of that library, if it is installed;
- decoding: the same threads and preprocessing without a network;
- extractor: ``DeepFeatureExtractor`` from files.

From arrays that are ready:

- network: the best engine that is installed, converted and called by hand;
- extractor: ``DeepFeatureExtractor`` from arrays.

Weights are random, as they do not matter for time. Runs take turns; images per second are those
of the median time, ratios are medians of paired ratios:

    python benchmarks/bench_features.py [--network mobilenetv2_100] [--images 192] [--repeats 5]
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import timm
import torch
from joblib import effective_n_jobs
from PIL import Image
from sklearn.pipeline import make_pipeline

from skda.feature_extraction import DeepFeatureExtractor
from skda.images import ImageRows, decoded_batches

BATCH = 32


def write_images(folder, n_images):
    """Write smooth random JPEG files of the size of a photograph in ImageNet."""
    rng = np.random.RandomState(0)
    paths = []
    for number in range(n_images):
        pixels = rng.randint(256, size=(24, 32, 3)).astype(np.uint8)
        paths.append(str(folder / f"{number}.jpg"))
        Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


class Files(torch.utils.data.Dataset):
    def __init__(self, paths, transform):
        self.paths, self.transform = paths, transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        return self.transform(Image.open(self.paths[number]).convert("RGB"))


def timm_loop(module, transform, n_workers, paths):
    loader = torch.utils.data.DataLoader(
        Files(paths, transform), batch_size=BATCH, num_workers=n_workers
    )
    with torch.inference_mode():
        return torch.cat([module(batch) for batch in loader]).numpy()


def decoding(transform, n_jobs, paths):
    rows = ImageRows(paths, transform)
    rows[:1]  # tells the shape of all
    batches = [slice(start, start + BATCH) for start in range(0, len(paths), BATCH)]
    for _ in decoded_batches(rows, batches, n_jobs=n_jobs):
        pass


def embetter_pipeline(network):
    """Return its pipeline, or None; its own weights would be downloaded."""
    try:
        from embetter.vision import ImageLoader, TimmEncoder
    except ImportError:
        return None
    create = timm.create_model
    without_weights = lambda name, pretrained, **kwargs: create(name, **kwargs)  # noqa: E731
    with mock.patch.object(timm, "create_model", without_weights):
        return make_pipeline(ImageLoader(), TimmEncoder(network))


def best_engine(module):
    """Return the best installed engine as its own documentation says, without skda."""
    example = torch.zeros(BATCH, 3, 224, 224)
    batch = ({0: torch.export.Dim("batch")},)
    try:
        import openvino
    except ImportError:
        module = module.to(memory_format=torch.channels_last)

        def run(x):
            with torch.inference_mode():
                return module(torch.from_numpy(x).contiguous(memory_format=torch.channels_last))

        return run
    program = torch.export.export(module, (example,), dynamic_shapes=batch)
    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino.compile_model(openvino.convert_model(program), "CPU", hints)


def by_hand(run, arrays):
    for start in range(0, len(arrays), BATCH):
        run(arrays[start : start + BATCH])


def relative_error(features, expected):
    return np.linalg.norm(features - expected) / np.linalg.norm(expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="mobilenetv2_100")
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--n-jobs", type=int, default=-1, help="threads or workers for decoding")
    options = parser.parse_args()
    n_jobs = effective_n_jobs(options.n_jobs)
    arrays = np.random.RandomState(0).randn(options.images, 3, 224, 224).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_images(Path(folder), options.images)
        settings = {
            "weights": None,
            "random_state": 0,
            "batch_size": BATCH,
            "device": "cpu",
            "engine": options.engine,
            "precision": options.precision,
        }
        backbone = f"timm/{options.network}"
        extractor = DeepFeatureExtractor(backbone, n_jobs=n_jobs, **settings).fit(paths)
        of_arrays = DeepFeatureExtractor(backbone, **settings).fit(arrays)
        module = timm.create_model(options.network, num_classes=0).eval()
        module.load_state_dict(extractor.module_.state_dict())
        loop = partial(timm_loop, module, extractor.preprocess_, n_jobs)
        print(f"relative error {relative_error(extractor.transform(paths), loop(paths)):.1e}")

        runs = {
            "loop": partial(loop, paths),
            "decoding": partial(decoding, extractor.preprocess_, n_jobs, paths),
            "extractor": partial(extractor.transform, paths),
            "network": partial(by_hand, best_engine(module), arrays),
            "extractor, arrays": partial(of_arrays.transform, arrays),
        }
        embetter = embetter_pipeline(options.network)
        if embetter is not None:
            runs["embetter"] = partial(embetter.fit_transform, paths)
        times = {name: [] for name in runs}
        for repeat in range(options.repeats + 1):
            # To and fro, for a run may warm up the next one.
            for name, run in list(runs.items())[:: 1 if repeat % 2 else -1]:
                start = time.perf_counter()
                run()
                if repeat:  # the first round warms up
                    times[name].append(time.perf_counter() - start)
    report(times, options.images)


def report(times, n_images):
    for name, seconds in times.items():
        print(f"{name:20} {n_images / statistics.median(seconds):8.1f} images/s")
    pairs = [("loop", "extractor"), ("network", "extractor, arrays")]
    if "embetter" in times:
        pairs.append(("embetter", "extractor"))
    for other, own in pairs:
        ratio = statistics.median(np.divide(times[other], times[own]))
        print(f"{own} over {other}: {ratio:.2f} times as fast")
    # On a CPU both want the same cores: at full load the sum is what can be reached there.
    for what, bound in (
        ("the slower one", np.maximum(times["decoding"], times["network"])),
        ("the sum", np.add(times["decoding"], times["network"])),
    ):
        ratio = statistics.median(np.divide(times["extractor"], bound))
        print(f"extractor takes {ratio:.2f} of {what} of decoding and network")


if __name__ == "__main__":
    main()
