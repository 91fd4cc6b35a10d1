"""The engine: a skorch net that trains on two domains at once."""

from skda.training._batches import DomainDataset, PairedBatches, RowBatches
from skda.training._module import AdaptationModule
from skda.training._net import AdaptationNet
from skda.training._schedules import annealing, progressive

__all__ = [
    "AdaptationModule",
    "AdaptationNet",
    "DomainDataset",
    "PairedBatches",
    "RowBatches",
    "annealing",
    "progressive",
]
