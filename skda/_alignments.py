"""The alignments that have a name."""

from skda.losses import coral, mmd
from skda.nn import DomainAdversary

ALIGNMENTS = {
    "coral": coral,
    "dann": DomainAdversary,
    "mmd": mmd,
}
