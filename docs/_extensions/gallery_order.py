"""The order of the examples, by what a reader wants to do, and how each of them begins."""

import os
from pathlib import Path

import sklearn
import torch

_CONFIGURATION, _N_THREADS, _ENVIRONMENT = (
    sklearn.get_config(),
    torch.get_num_threads(),
    dict(os.environ),
)

ORDER = (
    # First steps, with data of one's own.
    "quickstart",
    "own_table",
    "own_pictures",
    "hospitals",
    "series",
    "text",
    # Whether it helped, and what goes on.
    "did_it_help",
    "model_in_use",
    "choosing_hyperparameters",
    "trusting_validators",
    # Pretrained networks.
    "deep_features",
    "photographs",
    "fine_tuning",
    "choosing_a_backbone",
    "transferability",
    "transferable_photographs",
    # Methods.
    "adabn",
    "discrepancy_methods",
    "adversarial_methods",
    "cogan_pairs",
)


class ByTask:
    """A key for sorting files of examples; those without a place come last, by name."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, file_name):
        """Return the place of a file."""
        name = Path(file_name).stem.removeprefix("plot_")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)

    def __repr__(self):
        return "ByTask"  # a value of the configuration: the same in every build


def fresh_start(gallery_conf, file_name):
    """Let an example begin as it does in a process of its own."""
    sklearn.set_config(**_CONFIGURATION)
    torch.set_num_threads(_N_THREADS)
    torch.manual_seed(0)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
