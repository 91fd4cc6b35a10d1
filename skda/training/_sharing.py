"""Training steps of which several processes each compute a share of the rows.

Every process has the whole batch, and runs the network on its share of the rows of every domain.
What the network gives is gathered, so that all that follows, such as losses, alignments and steps
of adversaries, is computed from the whole batch by every process, in the same way.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from skorch.callbacks import Callback, Checkpoint, PrintLog, ProgressBar, TrainEndCheckpoint
from torch.nn.functional import pad
from torch.nn.modules.batchnorm import _BatchNorm

from skda._digest import digest
from skda._random import generators_in_use
from skda._torch import at_least_float32
from skda.nn import affine_of, channel_moments, track_moments
from skda.rows import batch_size, map_batch
from skda.training._batches import PairedBatches
from skda.training._processes import Processes
from skda.training._row_independence import RowIndependence


class Share:
    """The rows of a batch that this process computes.

    Parameters
    ----------
    sizes : tuple of int
        Rows of the batch by domain.

    processes : Processes
        Among which they are shared.

    generators : dict of torch.device to torch.Generator
        From which layers draw for these rows, other than dropout.

    Attributes
    ----------
    sizes : tuple of int
        Rows of the share by domain.

    own : torch.Tensor of int64
        Their numbers in the batch.

    n_rows : int
        Rows of the batch.
    """

    def __init__(self, sizes, processes, generators):
        n, self.processes, self.generators = processes.n_processes, processes, generators
        if (fewest := min(size for size in sizes if size)) < n:
            raise ValueError(
                f"batch_size: a batch has {fewest} rows of a domain, which {n} processes cannot "
                "share; start fewer processes, or give larger batches and domains."
            )
        starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
        # Equal but for one row; of a domain, so that domains stay paired.
        parts: list[torch.Tensor] = []
        for number in range(n):
            parts.append(
                torch.cat(
                    [
                        torch.arange(start + size * number // n, start + size * (number + 1) // n)
                        for start, size in zip(starts, sizes, strict=False)
                    ]
                )
            )
        n_own = [
            size * (processes.number + 1) // n - size * processes.number // n for size in sizes
        ]
        self.sizes, self.n_rows = tuple(n_own), sum(sizes)
        self.own = parts[processes.number].to(processes.device)
        self._largest = max(map(len, parts))
        places = torch.empty(self.n_rows, dtype=torch.int64)
        for number, part in enumerate(parts):
            places[part] = torch.arange(len(part)) + number * self._largest
        self._places = places.to(processes.device)

    def of(self, batch: Any) -> Any:
        """Return the rows of the share of a batch."""
        return map_batch(lambda values: values.index_select(0, self.own), batch)

    def gathered(self, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return what all processes made of their rows, in the order of the batch."""
        n_own = len(self.own)
        for x in outputs:
            if len(x) % n_own:
                raise ValueError(
                    f"The network made {len(x)} rows of {n_own}, which processes cannot put "
                    "together; align layers that give as many rows for each, or set "
                    "distributed=False."
                )
        flat = [x.reshape(n_own, -1) for x in outputs]
        padded = self._padded(torch.cat(flat, dim=1))
        whole = self.processes.gather(padded, is_of_all=True).flatten(0, 1)
        whole = whole.index_select(0, self._places)
        parts = whole.split([x.shape[1] for x in flat], dim=1)
        return [part.reshape(-1, *x.shape[1:]) for part, x in zip(parts, outputs, strict=True)]

    def _padded(self, values):
        """Return values of as many rows in every process, as a collective call wants them."""
        return pad(values, (0, 0, 0, self._largest - len(values)))

    def draw_noise(self, like: torch.Tensor, keep: float, generator: Any) -> torch.Tensor:
        """Return zeros and ones for rows of the share, drawn for all rows of the batch."""
        n_own = len(self.own)
        if len(like) % n_own:
            raise ValueError(
                f"A dropout gets {len(like)} values for {n_own} rows, which processes cannot "
                "share; set distributed=False."
            )
        shape = (self.n_rows, len(like) // n_own, *like.shape[1:])
        noise = torch.empty(shape, dtype=like.dtype, device=like.device)
        noise.bernoulli_(keep, generator=generator)
        return noise.index_select(0, self.own.to(like.device)).view(like.shape)

    def generator(self, device: torch.device) -> torch.Generator:
        """Return what layers draw from for the rows of this share alone."""
        self.note("draws")
        return self.generators[device]

    def note(self, use: str) -> None:
        """Note that layers draw for these rows alone, or that they ask for the state of draws."""
        self.generators.uses.add(use)
        if len(self.generators.uses) > 1:
            raise ValueError(
                "The network has activation checkpoints, and layers that draw otherwise than by "
                "torch.nn.Dropout: processes cannot draw the same numbers once more. Leave out "
                "either, or set distributed=False."
            )


class OwnRows(dict):
    """Generators of draws for own rows by device, made when they are asked for."""

    def __init__(self, seed):
        super().__init__()
        self.seed, self.uses = seed, set()

    def __missing__(self, device):
        generator = self[device] = torch.Generator(device).manual_seed(self.seed)
        return generator


class SharedSteps:
    """The steps of a net that trains together with nets like it in other processes.

    Parameters
    ----------
    net : AdaptationNet
        Initialised.

    processes : Processes
        Which train together.

    Raises
    ------
    ValueError
        If the net has parts that cannot be shared.
    """

    def __init__(self, net: Any, processes: Processes):
        self.net, self.processes = net, processes
        self._share: Share | None = None  # while the network runs
        self._shares: dict[Any, Share] = {}
        self._last: Share | None = None
        self._affines: dict[_BatchNorm, Any] = {}
        self._generators = OwnRows(0)
        self.is_on = False
        self._refuse()
        processes.copy_from_first(tensor for _, tensor in net._tensors())
        self._independence: RowIndependence | None = RowIndependence(net.module_)
        self._muted = [] if processes.is_first else [c for _, c in net.callbacks_ if _hooks_of(c)]
        for callback in self._muted:
            vars(callback).update(dict.fromkeys(_hooks_of(callback), _do_nothing))

    def close(self) -> None:
        """Let all callbacks of the net do again what they do."""
        for callback in self._muted:
            for name in _hooks_of(callback):
                vars(callback).pop(name, None)

    def __reduce__(self):
        return type(None), ()  # a net that is copied or pickled in the middle of training

    def _refuse(self):
        net, name = self.net, type(self.net).__name__
        alone = "set distributed=False, which trains in this process alone"
        if type(net).train_step.__module__ != "skda.training._loop":
            raise ValueError(
                f"{name} has steps of its own, which processes cannot share; methods whose nets "
                f"override train_step_single can be shared. Otherwise {alone}."
            )
        if net.compile:
            raise ValueError(
                f"compile=True compiles the network as one process runs it; leave it out, or "
                f"{alone}."
            )

    # -- an epoch -------------------------------------------------------------------------------

    @contextmanager
    def epoch(self, iterator: Any) -> Iterator[Iterator[Any]]:
        """Within this context the network runs on shares; yield the batches."""
        net = self.net
        if not isinstance(iterator, PairedBatches):
            raise ValueError(
                f"Batches of {type(iterator).__name__} cannot be shared by processes; those of "
                "skda.training.PairedBatches can, or set distributed=False."
            )
        if iterator.source_weights is not None:  # from predictions, which are rounded
            iterator.source_weights = self.processes.of_first(iterator.source_weights)
        seed = net.iterator_train__random_state
        # By epoch, so that a training that is resumed draws the same.
        numbers = seed, len(net.history), self.processes.number
        self._generators = OwnRows(int.from_bytes(digest(*numbers)[:7], "big"))
        self._shares.clear()
        with ExitStack() as changes:
            for part in net.module_.modules():
                if isinstance(part, _BatchNorm):
                    self._replace_forward(part, changes)
            rows = net.module_.rows
            rows.moments_of = self.moments
            changes.callback(delattr, rows, "moments_of")
            self.is_on = True
            changes.callback(setattr, self, "is_on", False)
            yield self._checked(iterator)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Within this context the network runs on whole batches again."""
        before, self.is_on = self.is_on, False
        try:
            yield
        finally:
            self.is_on = before

    def take_over_batches(self, history: Any) -> None:
        """Take over what the first process found in the batches of held-out rows."""
        history[-1]["batches"] = self.processes.of_first(history[-1]["batches"])

    def _replace_forward(self, norm, changes):
        if norm not in self._affines:
            self._affines[norm] = affine_of(norm)
            self._affines[norm].training = False
        forward = partial(self._normalise, norm, norm.forward)
        object.__setattr__(norm, "forward", forward)
        changes.callback(delattr, norm, "forward")

    def _checked(self, batches):
        """Yield batches, of which the labels of the first must be those of other processes."""
        place = f"epoch {len(self.net.history)}"
        for number, batch in enumerate(batches):
            if not number:
                self.agree(place, {"the rows of batches": digest(*batch[1:])})
            yield batch

    def agree(self, place: str, facts: Any = None) -> None:
        """Raise unless all processes are at one place, with the same weights."""
        with torch.no_grad():
            sums = [t.detach().double().abs().sum() for _, t in self.net._tensors() if t.numel()]
            weights = float(torch.stack([s.to(self.processes.device) for s in sums]).sum())
        self.processes.agree(
            f"{place} of {type(self.net).__name__}",
            {"the weights that they have come to": weights, **(facts or {})},
            "What trains in them must not depend on the process: callbacks, augmentation and the "
            "order of rows may draw from random_state alone, and gradients go through "
            "net.backward; or set distributed=False.",
        )

    # -- a step ---------------------------------------------------------------------------------

    def forward(self, forward: Callable, X: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return logits and activations of all rows, of which the network sees the own ones."""
        self._check_independence(X)
        share = self._share_of(self.net.module_.rows.sizes, batch_size(X))
        with self._sharing(share):
            logits, activations = forward(share.of(X))
        self._last = share
        # The network's own layers and the logits are of one type; inputs may be of another.
        outputs = {"logits of the net": logits, **activations}
        whole: dict[str, torch.Tensor] = {}
        for dtype in {x.dtype: None for x in outputs.values()}:
            some = {name: x for name, x in outputs.items() if x.dtype == dtype}
            whole.update(zip(some, share.gathered([*some.values()]), strict=True))
        return whole["logits of the net"], {name: whole[name] for name in activations}

    def _check_independence(self, X):
        """Raise if rows reach each other; by the first batch, of which all have the same rows."""
        independence, self._independence = self._independence, None
        if independence is not None and not independence.holds_for(X):
            raise ValueError(
                "The network gives rows other values among other rows of a batch, as a layer does "
                "that takes means over it: processes would take those of their shares. Use batch "
                "norms of torch.nn for it, or set distributed=False."
            )

    @contextmanager
    def backward(self) -> Iterator[None]:
        """Around a backward pass: layers may run once more in it; then gradients are averaged."""
        if self._last is None:
            yield
        else:
            with self._sharing(self._last):
                yield
        groups = (group for name in self.net._optimizers for group in self._groups(name))
        parameters = dict.fromkeys(p for group in groups for p in group["params"])
        self.processes.average(p.grad for p in parameters if p.grad is not None)

    def _groups(self, name):
        return getattr(self.net, f"{name}_").param_groups

    def _share_of(self, sizes, n_rows):
        present = [size for size in sizes or () if size]
        if len(present) == 1:  # sizes may be shares
            sizes = [n_rows if size else 0 for size in sizes]
        if sizes is None or sum(sizes) != n_rows:
            raise ValueError(
                f"{type(self.net).__name__} forwards {n_rows} rows of unknown domains, which "
                "processes cannot share; name the sizes of infer, or set distributed=False."
            )
        key = tuple(sizes)
        if key not in self._shares:
            self._shares[key] = Share(key, self.processes, self._generators)
        return self._shares[key]

    @contextmanager
    def _sharing(self, share):
        own = generators_in_use()
        before, self._share = self._share, share
        try:
            if own is not None:
                own.share = share
            with self.net.module_.rows.of(share.sizes):
                yield
        finally:
            self._share = before
            if own is not None:
                own.share = before

    # -- batch norms ----------------------------------------------------------------------------

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and biased variance of channels over the rows of all processes."""
        return channel_moments(x) if self._share is None else self._moments(x)[:2]

    def _moments(self, x):
        mean, variance = channel_moments(x)
        count = mean.new_full((1,), x.numel() // x.shape[1])
        own = torch.cat([mean.flatten(), variance.flatten(), count])
        of_all = self.processes.gather(own, is_of_all=False)
        means, variances, counts = of_all.split([x.shape[1], x.shape[1], 1], dim=1)
        counts = counts.detach()
        n = counts.sum()
        total = (counts / n * means).sum(dim=0)
        spread = (counts / n * (variances + (means - total).square())).sum(dim=0)
        return total.view(mean.shape), spread.view(mean.shape), n

    def _normalise(self, norm, forward, x):
        """Do what a batch norm does, by the moments of the rows of all processes."""
        has_statistics = norm.running_mean is not None
        if self._share is None or (has_statistics and not norm.training):
            return forward(x)
        norm._check_input_dim(x)
        rows = at_least_float32(x)
        mean, variance, n = self._moments(rows)
        if norm.training and norm.track_running_stats:
            track_moments(norm, (mean, variance * (n / (n - 1))))
        normalised = (rows - mean) * torch.rsqrt(variance + norm.eps)
        return self._affines[norm](normalised.to(x.dtype))


def _hooks_of(callback):
    """Return the names of the methods of a callback that print or write."""
    if isinstance(callback, Checkpoint):
        return ["save_model"]  # with load_best it reads what the first process has written
    if isinstance(callback, PrintLog | ProgressBar | TrainEndCheckpoint):
        return [name for name in dir(Callback) if name.startswith("on_")]
    return []


def _do_nothing(*args: Any, **kwargs: Any) -> None:
    pass
