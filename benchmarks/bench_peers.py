"""The same methods in skda, skada, pytorch-adapt and embetter, on the same arrays.

Accuracy on the target after the last of 40 epochs, processor time, peak memory beyond that of the
data and the imports, and lines of user code. Networks, batches and epochs are the same (see
_peer_programs); everything else is what each library does by itself. The peers are not among
skda's dependencies: `pip install skada pytorch-adapt embetter`.

    SKDA_DATA=folder python benchmarks/bench_peers.py --out FILE.jsonl [--plain] [--tasks NAME ...]

Every fit is one of a process of its own, and adds a line to the file; those that it holds are not
done again.
"""

import argparse
import importlib
import inspect
import itertools
import json
import multiprocessing
import resource
import time
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

import _peer_programs as programs
import numpy as np
import sklearn
import torch
from _evidence_tasks import all_digits, fetch_office_caltech10, shifted

DEEP = {"Deep CORAL": "DeepCoral", "DAN": "DAN", "DANN": "DANN", "CDAN": "CDAN"}
SHALLOW = {"CORAL": "CORAL", "TCA": "TCA"}
SKDA = {**DEEP, "Deep CORAL": "DeepCORAL"}
# Library and what is special about it -> its program by method, and what else of it is user code.
PROGRAMS = {
    "skda": {
        "source only": (programs.skda_source_only, ""),
        **{name: (programs.skda_network, own) for name, own in SKDA.items()},
        **{name: (programs.skda_transformer, own) for name, own in SHALLOW.items()},
    },
    "skada": {
        **{name: (programs.skada_network, own) for name, own in DEEP.items()},
        **{name: (programs.skada_transformer, own) for name, own in SHALLOW.items()},
    },
    "skada, mended": {name: (programs.skada_mended, name) for name in ("DANN", "CDAN")},
    "pytorch-adapt": {
        "Deep CORAL": (programs.pytorch_adapt_aligner, "DeepCoral"),
        "DAN": (programs.pytorch_adapt_aligner, "DAN"),
        "DANN": (programs.pytorch_adapt_dann, ""),
        "CDAN": (programs.pytorch_adapt_cdan, ""),
    },
    "embetter": {"source only": (programs.embetter_network, "")},
}
METHODS = ("source only", *DEEP, *SHALLOW)
MODULES = {
    "skda": ("skda.adaptation", "skda.subspace"),
    "skada": ("skada.deep",),
    "skada, mended": ("skada.deep",),
    "pytorch-adapt": ("pytorch_adapt.adapters",),
    "embetter": ("embetter.finetune",),
}
LOOP = (programs.layers, programs.pytorch_adapt_containers, programs.pytorch_adapt_loop)
ADVERSARY = (*LOOP, programs.pytorch_adapt_discriminator)
# What else a user of the peer writes.
ALSO_WRITTEN = {
    programs.skada_network: (programs.layers, programs.SkadaModule),
    programs.skada_mended: (
        *(programs.layers, programs.SkadaModule),
        programs.MendedDiscriminator,
    ),
    programs.pytorch_adapt_aligner: LOOP,
    programs.pytorch_adapt_dann: ADVERSARY,
    programs.pytorch_adapt_cdan: ADVERSARY,
}


def mnist_usps(pair, state):
    """2000 and 1800 digits as 256 columns of unit norm."""
    from _evidence_tasks import drawn
    from sklearn.preprocessing import normalize

    parts = []
    for name, n_rows in (("mnist", 2000), ("usps", 1800)):
        X, y = drawn(all_digits()[name], n_rows, state)
        parts += [normalize(X.reshape(len(X), -1)), y]
    return *parts, parts[3]


def office_features(pair, state):
    office = fetch_office_caltech10("amazon", "webcam", features="mobilenetv2", return_X_y=True)
    return *office, office[3]


TASKS = {"shifted digits": shifted, "Office A to W": office_features, "MNIST to USPS": mnist_usps}


def n_lines(program):
    """Lines of code of a program, without the signature, its documentation and empty lines."""
    count = 0
    for part in (program, *ALSO_WRITTEN.get(program, ())):
        lines = inspect.getsource(part).splitlines()[part is program :]
        lines = [line.strip() for line in lines]
        count += sum(1 for line in lines if line and not line.startswith(('"""', "#")))
    return count


def fit(program, method, arrays, state, batch_norm, pipe):
    """In a process of its own: send accuracy, seconds and megabytes."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sklearn.set_config(enable_metadata_routing=True)
    X, y, X_target, y_target = arrays
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        predictions = program(method, X, y, X_target, state, batch_norm)
    except Exception as error:  # the table says that a peer cannot, and the file why
        pipe.send({"error": f"{type(error).__name__}: {error}"[:300]})
        traceback.print_exc()
        return
    pipe.send(
        {
            "accuracy": round(100 * float(np.mean(predictions == y_target)), 3),
            "seconds": round(time.process_time() - start, 3),
            "megabytes": round(
                (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1
            ),
        }
    )


def measure(library, method, task, state, batch_norm):
    program, own = PROGRAMS[library][method]
    for module in MODULES[library]:  # once, and not in the time of a fit
        importlib.import_module(module)
    X, y, X_target, *_, y_target = TASKS[task]("", state)
    arrays = X.astype(np.float32), y, X_target.astype(np.float32), y_target
    # Forked: imports and data are there already, and memory is that of the fit.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=fit, args=(program, own, arrays, state, batch_norm, sender))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = {"error": "the process was ended"}
    process.join()
    package = library.partition(",")[0]
    return {**result, "lines": n_lines(program), "version": version(package)}


def key_of(cell):
    return tuple(cell[name] for name in ("library", "method", "task", "state", "batch_norm"))


def cells_of(options):
    for task, method, state in itertools.product(options.tasks, METHODS, options.states):
        for library in options.libraries:
            if method in PROGRAMS[library]:
                yield dict(
                    library=library,
                    method=method,
                    task=task,
                    state=state,
                    batch_norm=not options.plain,
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--libraries", nargs="+", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--states", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--plain", action="store_true", help="networks without batch norms")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {key_of(json.loads(line)) for line in lines}
    for cell in cells_of(options):
        if key_of(cell) in done:
            continue
        cell |= measure(**cell)
        with options.out.open("a") as file:
            file.write(json.dumps(cell) + "\n")
        print(json.dumps(cell), flush=True)


if __name__ == "__main__":
    main()
