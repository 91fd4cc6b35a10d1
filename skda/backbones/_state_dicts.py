"""State dicts as training programs write them, and the network that they are for."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

# Where programs put the state dict; the average over training steps, which they evaluate, first.
_ENTRIES = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "network",
    "net",
    "params_ema",
    "params",
    "weights",
)
# What heads are called outside of the network that a prefix leads to.
_HEADS = ("head", "heads", "fc", "classifier", "linear", "logits")
_N_SHOWN = 3


def open_checkpoint(content: Mapping, name: Any, notes: list[str]) -> Mapping[str, torch.Tensor]:
    """Return the state dict in a checkpoint.

    Parameters
    ----------
    content : mapping
        A state dict, or what programs write around it.

    name : object
        Of the file, for messages.

    notes : list of str
        Gets a line if there was a choice.

    Returns
    -------
    state : mapping of str to torch.Tensor
        The state dict.

    Raises
    ------
    ValueError
        If there is none.
    """
    strangers = [key for key, value in content.items() if not _is_entry(key, value)]
    if content and not strangers:
        return content
    found = [entry for entry in _ENTRIES if _holds_tensors(content.get(entry))]
    if found:
        if len(found) > 1:
            notes.append(
                f"weights: of {', '.join(map(repr, found))} in {name}, {found[0]!r} was taken."
            )
        return open_checkpoint(content[found[0]], name, notes)
    what = "it is empty"
    if strangers:
        what = f"its {strangers[0]!r} is a {_type(content[strangers[0]])}"
    raise ValueError(
        f"weights: {name} holds no state dict (tensors by name): {what}; pass what "
        "module.state_dict() returns, alone or as the entry 'state_dict' or 'model'."
    )


def _is_entry(key, value):
    return isinstance(key, str) and isinstance(value, torch.Tensor)


def _type(value):
    return type(value).__name__


def _holds_tensors(value):
    return isinstance(value, Mapping) and any(
        isinstance(part, torch.Tensor) or _holds_tensors(part) for part in value.values()
    )


def fit_state_dict(
    network: nn.Module,
    state: Mapping[str, torch.Tensor],
    name: Any,
    head: Sequence[str],
    notes: list[str],
) -> None:
    """Load a state dict into a network; nothing but heads may be missing or left over.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.

    state : mapping of str to torch.Tensor
        Its keys may have a prefix in common.

    name : object
        Of the file, for messages.

    head : sequence of str
        Paths of what may be left out.

    notes : list of str
        Gets a line for what was dropped or left out.

    Raises
    ------
    ValueError
        If the state dict is that of another network, or holds what are no weights.
    """
    wanted = network.state_dict()
    state, outside = _without_prefix(state, wanted, name, notes)
    _check_values(state, wanted, name, head)
    if not outside:
        try:
            network.load_state_dict(state)  # may know how to read keys of older versions
            return
        except RuntimeError:
            pass
    shapes = {
        k: v.shape for k, v in wanted.items() if isinstance(v, torch.Tensor) and not is_lazy(v)
    }
    misshapen = [k for k in state if k in shapes and state[k].shape != shapes[k]]
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [*(k for k in state if k not in wanted), *outside]
    needless = {k for k in (*missing, *misshapen, *unexpected) if _is_below(k, head)}
    needless |= {k for k in unexpected if k in outside or _was_removed(k, network)}
    problems = [
        _problem("Missing key(s): {}", [k for k in missing if k not in needless]),
        _problem("Unexpected key(s): {}", [k for k in unexpected if k not in needless]),
        _problem(
            "size mismatch for {}",
            [k for k in misshapen if k not in needless],
            lambda k: f"{k} ({tuple(state[k].shape)} in place of {tuple(shapes[k])})",
        ),
    ]
    if any(problems):
        raise ValueError(
            f"weights: {name} does not fit {_type(network)}. {'; '.join(filter(None, problems))}. "
            "All keys and shapes must be those of the network, but for its classifier; check "
            "that module and module__* are those that the weights were trained with."
        )
    network.load_state_dict({k: v for k, v in state.items() if k not in needless}, strict=False)
    left_out = [k for k in (*misshapen, *unexpected) if k in needless]
    if left_out:
        notes.append(f"weights: left out {_listed(left_out)}.")
    not_given = [k for k in missing if k in needless]
    if not_given:
        notes.append(f"weights: {name} does not hold {_listed(not_given)}, which is not needed.")


def _problem(text, keys, show=lambda key: f'"{key}"'):
    return text.format(_listed(keys, show)) if keys else ""


def _listed(keys, show=repr):
    shown = ", ".join(show(key) for key in keys[:_N_SHOWN])
    return shown if len(keys) <= _N_SHOWN else f"{shown}, ... ({len(keys)} in all)"


def _is_below(key, paths):
    return any(key == path or key.startswith(f"{path}.") for path in paths)


def _was_removed(key, network):
    """Whether a key is that of a layer in whose place there is nothing now."""
    path = key.rpartition(".")[0]
    try:
        return isinstance(network.get_submodule(path), nn.Identity)
    except AttributeError:
        return False


def _without_prefix(state, wanted, name, notes):
    """Return a state dict with the names of the network, and keys of heads outside of it."""
    hits = {
        prefix: sum(prefix + key in state for key in wanted) for prefix in _prefixes(state, wanted)
    }
    most = max(hits.values(), default=0)
    best = [prefix for prefix in hits if hits[prefix] == most]
    if not most or "" in best or 2 * most < len(wanted):
        return state, []
    if len(best) > 1:
        raise ValueError(
            f"weights: {name} holds {len(best)} networks that fit, with the prefixes "
            f"{', '.join(map(repr, best))}; pass the state dict of one of them."
        )
    (prefix,) = best
    notes.append(f"weights: the prefix {prefix!r} of the keys was dropped.")
    inside = {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
    others = [key for key in state if not key.startswith(prefix)]
    # A head beside the network, and what torch's AveragedModel counts.
    outside = [k for k in others if k == "n_averaged" or k.partition(".")[0] in _HEADS]
    return {**{k: state[k] for k in others if k not in outside}, **inside}, outside


def _prefixes(state, wanted):
    """Return what comes before one of the network's first or last names in the keys."""
    names = list(wanted)
    prefixes = {"": None}
    for name in dict.fromkeys([*names[:3], *names[-3:]]):
        for key in state:
            if key == name or key.endswith(f".{name}"):
                prefixes[key[: len(key) - len(name)]] = None
    return prefixes


def _check_values(state, wanted, name, head):
    """Raise if what is to be loaded as weights are no floats, or no numbers."""
    for key, value in state.items():
        own = wanted.get(key)
        if not isinstance(own, torch.Tensor) or _is_below(key, head) or not own.is_floating_point():
            continue
        if not value.is_floating_point():
            raise ValueError(
                f"weights: {name} holds {str(value.dtype).removeprefix('torch.')} values at "
                f"{key!r}, where floats belong; it may be quantised: pass the weights that it was "
                "made from."
            )
        # Another shape is told later, and may be said to be larger than memory.
        if not is_lazy(own) and value.shape != own.shape:
            continue
        value = value.half() if value.element_size() == 1 else value
        if value.isfinite().all():
            continue
        what = "NaN" if value.isnan().any() else "infinity"
        if what == "NaN" or is_lazy(own) or own.isfinite().all():  # not of a mask of attention
            raise ValueError(
                f"weights: {name} holds {what} at {key!r}; the training that wrote it diverged, or "
                "the file is damaged."
            )


def check_finite(network: nn.Module, name: str) -> None:
    """Raise if weights that a library has loaded are no numbers.

    Parameters
    ----------
    network : torch.nn.Module
        With weights.

    name : str
        What the user calls it.

    Raises
    ------
    ValueError
        With the first parameter that holds NaN or infinity.
    """
    for key, value in network.named_parameters():
        if not is_lazy(value) and not value.isfinite().all():
            raise ValueError(
                f"weights: those of {name!r} hold NaN or infinity at {key!r}; the training that "
                "wrote them diverged, or a file is damaged."
            )
