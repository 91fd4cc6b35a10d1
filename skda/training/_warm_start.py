"""A training that begins with what an earlier one has learned."""

import re
import warnings
from typing import Any

import torch
from torch import nn

from skda._callers import level_of_user
from skda.exceptions import IncompleteFitWarning
from skda.training._part_state import module_tensors

# A batch norm that is kept per domain, by the number of the domain.
_OF_DOMAIN = re.compile(r"\.norms\.\d+\.")


class WarmStart:
    """The network and the alignment of the last fit, for the next one.

    Parameters
    ----------
    net : AdaptationNet
        Trained.
    """

    def __init__(self, net: Any):
        self._module, self._alignment = _tensors(net.module_), _tensors(net.alignment_)
        self._lacks_alignment = getattr(net, "_lacks_alignment", False)
        self._is_given = False

    def give(self, net: Any) -> None:
        """Put weights and statistics into a net that is not trained yet.

        The network goes into the first net that predicts, from which later ones go on; the
        statistics of a domain that is new are those of the source.

        Raises
        ------
        ValueError
            If the networks differ.
        """
        if not net.classifies:
            return
        if not self._is_given:
            _put(net.module, self._module, "module")
            self._is_given = True
        if net.alignment is not None and self._alignment:
            _put(net.alignment, self._alignment, "alignment")
        elif net.alignment is not None and self._lacks_alignment:
            warnings.warn(
                "warm_start=True begins with the network of the last fit, but with a new alignment:"
                " pickles leave it out, unless keep_training_state is True.",
                IncompleteFitWarning,
                stacklevel=level_of_user(),
            )


def _tensors(part):
    return {path: owner[name] for path, owner, name in module_tensors(part)}


def _put(part, known, what):
    of_source = {_OF_DOMAIN.sub(".", p): t for p, t in known.items() if ".norms." not in p}
    of_source |= {p.replace(".norms.0.", "."): t for p, t in known.items() if ".norms.0." in p}
    with torch.no_grad():
        for path, owner, name in module_tensors(part):
            source = _OF_DOMAIN.sub(".", path)
            value, there = known.get(path, of_source.get(source)), owner[name]
            is_known = path in known or source in of_source
            if is_known and not isinstance(there, nn.Parameter):
                owner[name] = None if value is None else value.clone()  # it may have grown
            elif is_known and value is not None and value.shape == there.shape:
                there.copy_(value)
            else:
                shape = None if value is None else tuple(value.shape)
                raise ValueError(
                    f"warm_start=True needs the {what} of the last fit, but its {path!r} was of "
                    f"shape {shape} and is of shape {None if there is None else tuple(there.shape)}"
                    "; fit with the same network, classes and layers, or with warm_start=False."
                )
