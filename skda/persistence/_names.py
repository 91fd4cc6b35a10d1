"""What a file may name: classes and functions, by the path that they are imported from.

A name is ``"package.module:Name"``. One of a file is looked up in the libraries below alone, and
only what is on the lists is taken; all else must be passed by the user. The lists are narrow on
purpose: a class that can be called while it predicts (a reference) must not, whatever it is called
with, open files, load code or write anything.
"""

import contextlib
import inspect
import re
import types
from collections.abc import Iterable
from enum import Enum
from importlib import import_module
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch
from skorch.callbacks import Callback
from skorch.dataset import Dataset, ValidSplit
from skorch.history import History
from torch import nn

from skda._torch import StepValues
from skda.training import PairedBatches, RowBatches

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LONGEST_NAME = 300
# Parts of a path that import more than a library.
_NEVER_IMPORTED = {"__main__", "conftest", "test", "tests", "setup", "cli", "commands"}

# Where objects may come from whose attributes are in a file. Their classes are never called.
_ROOMS = (
    *(f"skda.{room}" for room in ("adaptation", "base", "estimators", "feature_extraction")),
    *(f"skda.{room}" for room in ("fine_tuning", "subspace", "model_selection", "nn", "training")),
    *(f"skda.{room}" for room in ("images", "text", "rows", "backbones", "losses", "label_shift")),
    *(f"skda.{room}" for room in ("metrics", "monitoring", "target_accuracy")),
)
# Of these modules nothing: they open, write and remove files.
_CLOSED = (
    "skda.images._stored",
    "skda.images._sinks",
    "skda.images._store",
    "skda.feature_extraction._cache",
    "skda.backbones._hub",
    "skda.backbones._hub_folders",
)
_SKLEARN = tuple(
    f"sklearn.{name}"
    for name in (
        *(
            "calibration",
            "compose",
            "cross_decomposition",
            "decomposition",
            "discriminant_analysis",
        ),
        *("dummy", "ensemble._stacking", "ensemble._voting", "feature_extraction"),
        *("feature_selection", "frozen", "impute", "kernel_approximation", "linear_model"),
        *("metrics._scorer", "model_selection", "multiclass", "multioutput", "naive_bayes"),
        *("neural_network", "pipeline", "preprocessing", "random_projection", "svm._classes"),
        *("utils._bunch", "utils._metadata_requests"),
    )
)
_CALLBACKS = {
    "BatchScoring",
    "EarlyStopping",
    "EpochScoring",
    "EpochTimer",
    "Freezer",
    "GradientNormClipping",
    "Initializer",
    "LRScheduler",
    "ParamMapper",
    "PassthroughScoring",
    "PrintLog",
    "Unfreezer",
}
_NETWORKS = ("torchvision", "timm", "transformers", "sentence_transformers")
# Of these libraries what may be called by name: layers and activations, and nothing that loads.
_HARMLESS_NETWORKS = ("timm.layers", "torchvision.ops", "transformers.activations")
_OF_SENTENCES = "sentence_transformers.util"
_SIMILARITIES = {"cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"}
_SIMILARITIES |= {f"pairwise_{name}" for name in _SIMILARITIES}
# They hold source code, or run what is elsewhere.
_CODE = ("GraphModule", "ScriptModule", "RemoteModule")
_HOOKS = {"WeightNorm", "SpectralNorm", "SpectralNormLoadStateDictPreHook"}
_BUILTINS = (dict, list, tuple, set, frozenset, int, float, complex, str, bool, bytes, object)
_ACTIVATIONS = "relu tanh sigmoid softmax log_softmax exp log abs neg square sqrt sin cos erf selu"


class Names:
    """Classes and functions by name, as far as they are on the lists or trusted.

    Parameters
    ----------
    trusted : class, function, str or sequence of these
        What may be named beside what is on the lists; a str is ``"package.module.Name"``.
    """

    def __init__(self, trusted: Iterable[Any] = ()):
        if isinstance(trusted, str) or callable(trusted):
            trusted = (trusted,)
        self._trusted: dict[str, Any] = {}
        for item in trusted:
            if isinstance(item, str):
                self._trusted[item] = None
            elif inspect.isclass(item) or (callable(item) and hasattr(item, "__qualname__")):
                for name in _names_of(item):
                    self._trusted[_dotted(name)] = item
            else:
                raise TypeError(
                    "trusted must hold classes, functions and names such as 'package.Class'; got "
                    f"an instance of {type(item).__name__}."
                )

    def find(self, name: Any, *, as_instance: bool = False) -> Any:
        """Return what a file names, or None if it is not to be trusted."""
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise ValueError(f"{str(name)[:80]!r} is no name")
        dotted = _dotted(name)
        if dotted in self._trusted:
            found = self._trusted[dotted]
            return _look_up(name) if found is None else found
        module = name.partition(":")[0]
        if not _is_of_a_library(module):
            return None
        if (
            not as_instance
            and _is_in(module, _NETWORKS)
            and not _is_in(module, (*_HARMLESS_NETWORKS, _OF_SENTENCES))
        ):
            return None  # without the seconds that an import takes
        found = _look_up(name)
        is_allowed = _may_be_instance if as_instance else _may_be_named
        return found if is_allowed(found) else None

    @property
    def trusted(self) -> list[str]:
        """The paths of all that the user has passed, with dots alone."""
        return list(self._trusted)

    def is_trusted(self, name: str) -> bool:
        """Return whether the user has passed it."""
        return _dotted(name) in self._trusted


def _dotted(name):
    return name.replace(":", ".")


def _look_up(name):
    """Return what is at a path; classes may lie in classes, and modules only in packages."""
    module, _, path = name.partition(":")
    if _NEVER_IMPORTED & set(module.split(".")) and module != "__main__":
        raise ValueError(f"{name!r} cannot be imported")
    try:
        found = import_module(module)
        for part in path.split("."):
            found = (
                inspect.getattr_static(found, part)
                if inspect.isclass(found)
                else getattr(found, part)
            )
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name!r} cannot be imported ({error}); install the library, in the version that the "
            "file names"
        ) from error
    return found


def _is_of_a_library(module):
    roots = (*_ROOMS, *_SKLEARN, *_NETWORKS, "torch.nn", "torch.optim", "skorch")
    return (
        module in ("torch", "numpy", "builtins", StepValues.__module__)
        or _is_in(module, (*roots, "sklearn.metrics"))
        or (module.startswith("sklearn.") and any(r.startswith(f"{module}.") for r in _SKLEARN))
    )


def _is_in(module, roots):
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def _is_of_skda(found):
    module = found.__module__
    return _is_in(module, _ROOMS) and not _is_in(module, _CLOSED)


def _may_be_instance(found):
    """Whether a file may hold the attributes of an instance."""
    if not inspect.isclass(found):
        return False
    module = found.__module__
    if _is_of_skda(found) or found in (History, Dataset, ValidSplit, StepValues):
        return True
    if _is_in(module, _SKLEARN):
        return not module.startswith("sklearn.svm") or found.__name__.startswith("Linear")
    if issubclass(found, Callback):
        return _is_in(module, ("skorch.callbacks",)) and found.__name__ in _CALLBACKS
    if _is_in(module, ("torch.nn.utils",)):
        return found.__name__ in _HOOKS
    if _holds_code(found):
        return False
    if issubclass(found, nn.Module):
        return _is_in(module, ("torch.nn.modules", *_NETWORKS))
    return (issubclass(found, Enum) and _is_in(module, _NETWORKS)) or _is_part(found)


def _holds_code(found):
    return any(base.__name__ in _CODE for base in found.__mro__)


def _is_part(found):
    """Whether a class belongs to networks and their preprocessing without being a module."""
    if _is_in(found.__module__, ("torchvision.transforms",)):
        return found.__name__ in ("Compose", "ToTensor", "PILToTensor")
    if _is_in(found.__module__, ("sentence_transformers.base",)):
        return found.__name__ == "InputFormatter"
    names = {base.__name__ for base in found.__mro__ if _is_in(base.__module__, ("transformers",))}
    return bool(
        names
        & {"PretrainedConfig", "PreTrainedConfig", "GenerationConfig", "PreTrainedTokenizerBase"}
    )


def _may_be_named(found):
    """Whether a file may refer to it: it may be called with what the file says."""
    if inspect.isclass(found):
        return _is_harmless_class(found)
    if not isinstance(found, types.FunctionType | types.BuiltinFunctionType):
        return False
    name, module = found.__name__, found.__module__ or ""
    if found is print:
        return True
    if getattr(nn.functional, name, None) is found and not name.startswith("_"):
        return module in ("torch.nn.functional", "torch._C._nn") or not module
    if name in _ACTIVATIONS.split():
        return found is getattr(torch, name)
    if _is_in(module, (_OF_SENTENCES,)):
        return name in _SIMILARITIES
    rooms = [f"skda.{room}" for room in ("adaptation", "losses", "nn", "training")]
    rooms += ["skda.estimators._stopping", "sklearn.metrics", "sklearn.feature_selection"]
    rooms += _HARMLESS_NETWORKS
    return _is_in(module, rooms) and "<" not in found.__qualname__


def _is_harmless_class(found):
    if found in _BUILTINS or found in (Dataset, ValidSplit):
        return True
    if issubclass(found, np.generic):  # a type of numbers
        return found.__module__ == "numpy"
    module = found.__module__
    if _is_of_skda(found):
        return issubclass(found, nn.Module | BaseEstimator | PairedBatches | RowBatches)
    if issubclass(found, torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler):
        return _is_in(module, ("torch.optim",))
    if issubclass(found, nn.Module):
        return _is_in(module, ("torch.nn.modules", *_HARMLESS_NETWORKS)) and not _holds_code(found)
    if issubclass(found, BaseEstimator | BaseCrossValidator | Bunch):
        return _is_in(module, _SKLEARN)
    return False


# -- names of what is saved ---------------------------------------------------------------------


def _names_of(item):
    """Return all names under which a file may have something that the user passes."""
    names = {f"{item.__module__}:{item.__qualname__}"}
    with contextlib.suppress(ValueError):
        names.add(name_of(item))
    return names


def name_of(item: Any) -> str:
    """Return the shortest public path of a class or function.

    Parameters
    ----------
    item : class or function
        What to name.

    Returns
    -------
    name : str
        ``"package.module:Name"``.

    Raises
    ------
    ValueError
        If it cannot be imported: a lambda, or what is defined in a function.
    """
    path = item.__qualname__
    module = item.__module__
    if type(item) is types.BuiltinFunctionType:  # what torch has in C++ names other places
        for owner in (nn.functional, torch):
            if getattr(owner, item.__name__, None) is item:
                return f"{owner.__name__}:{item.__name__}"
    if "<" in path:
        raise ValueError("it has no name to import it by")
    parts = str(module).split(".")
    for n_parts in range(1, len(parts) + 1):
        candidate = ".".join(parts[:n_parts])
        try:
            found: Any = import_module(candidate)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            continue
        if found is item:
            return f"{candidate}:{path}"
    raise ValueError(f"{module}.{path} is another object, or none")
