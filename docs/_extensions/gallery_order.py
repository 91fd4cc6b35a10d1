"""The order of the examples: by what a reader wants to do, the first steps first."""

from pathlib import Path

ORDER = (
    # First steps, with data of one's own.
    "quickstart",
    "own_table",
    "own_photographs",
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
