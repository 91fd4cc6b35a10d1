"""The engine: skorch nets that train on one domain or on two at once."""

from skda.training._batches import DomainDataset, PairedBatches, RowBatches
from skda.training._blocks import Block, list_blocks
from skda.training._denoising import DenoisingNet
from skda.training._fine_tuning import FineTuningNet
from skda.training._module import AdaptationModule
from skda.training._net import AdaptationNet
from skda.training._schedules import annealing, progressive
from skda.training._two_players import TwoPlayerNet

__all__ = [
    "AdaptationModule",
    "AdaptationNet",
    "Block",
    "DenoisingNet",
    "DomainDataset",
    "FineTuningNet",
    "PairedBatches",
    "RowBatches",
    "TwoPlayerNet",
    "annealing",
    "list_blocks",
    "progressive",
]
