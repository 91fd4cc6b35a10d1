"""The engine: skorch nets that train on one domain or on two at once.

A net is one file: its parameters and its loop. What it learns from stands in ``_objective``, how
fast in ``_optimizers``, what it makes of rows afterwards in ``_evaluation``, and which parts learn
in which epochs in ``_stages``. A net that one method uses stands with that method.
"""

from skda.backbones import Block, list_blocks
from skda.training._accumulation import own_steps_error as own_steps_error
from skda.training._augmentation import augment_of as augment_of
from skda.training._augmentation import augment_rows, check_augment, per_row
from skda.training._batches import PairedBatches, RowBatches
from skda.training._checkpoints import CheckpointFolder as CheckpointFolder
from skda.training._checkpoints import FollowedFolder as FollowedFolder
from skda.training._datasets import DomainDataset
from skda.training._datasets import take_rows as take_rows
from skda.training._epochwise import Position as Position
from skda.training._epochwise import last_group as last_group
from skda.training._epochwise import position_of as position_of
from skda.training._epochwise import run_epoch as run_epoch
from skda.training._evaluation import accuracy
from skda.training._limited import LimitedAlignmentMixin as LimitedAlignmentMixin
from skda.training._module import OWN_LAYERS as OWN_LAYERS
from skda.training._module import AdaptationModule
from skda.training._net import AdaptationNet
from skda.training._optimizers import OPTIMIZERS as OPTIMIZERS
from skda.training._parts import to_device as to_device
from skda.training._processes import join_processes as join_processes
from skda.training._progress import Progress, RowProgress
from skda.training._progress import quiet as quiet
from skda.training._progress import say as say
from skda.training._resampling import draw_by_weights as draw_by_weights
from skda.training._schedules import SCHEDULES as SCHEDULES
from skda.training._schedules import annealing, cosine, progressive
from skda.training._slim import without_training_state as without_training_state
from skda.training._stacking import StackedFits as StackedFits
from skda.training._stages import Seeds as Seeds
from skda.training._stages import Stage, Training
from skda.training._stages import run_stages as run_stages
from skda.training._statistics import ranges as ranges
from skda.training._statistics import standardization as standardization
from skda.training._two_players import TwoPlayerNet
from skda.training._warm_start import WarmStart as WarmStart

__all__ = [
    "AdaptationModule",
    "AdaptationNet",
    "Block",
    "DomainDataset",
    "PairedBatches",
    "Progress",
    "RowBatches",
    "RowProgress",
    "Stage",
    "Training",
    "TwoPlayerNet",
    "accuracy",
    "annealing",
    "augment_rows",
    "check_augment",
    "cosine",
    "list_blocks",
    "per_row",
    "progressive",
]
