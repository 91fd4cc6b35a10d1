"""The way of batches to a device and of features back, beside the network that runs there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from skda.rows import map_batch


class Sent(NamedTuple):
    """A batch on its way to the device."""

    batch: Any  # where it is to be
    host: Any  # pinned, and kept until the copy has been waited for
    arrived: Any  # an event, or None


class Link:
    """Any device but CUDA: a copy when it is needed, and features when they are computed.

    Parameters
    ----------
    device : torch.device
        Where the network runs.

    Attributes
    ----------
    may_repeat : bool
        Whether batches are kept as they are, for memory or precision may not do for them.
    """

    # Batches under way: how many are launched before the features of the first are looked at.
    depth = 1

    def __init__(self, device: Any):
        self.device = torch.device(device)
        self.may_repeat = self.device.type != "cpu"

    def send(self, batch: Any) -> Sent:
        """Begin to move a batch."""
        return Sent(map_batch(lambda values: values.to(self.device), batch), None, None)

    def receive(self, sent: Sent) -> Any:
        """Return a batch that the network can take."""
        return sent.batch

    def fetch(self, features: torch.Tensor, *, to_host: bool) -> Any:
        """Begin to move features; returns what :meth:`wait` takes."""
        is_finite = torch.isfinite(features).all()
        return features.cpu() if to_host else features, is_finite, None

    def wait(self, fetched: Any) -> tuple[torch.Tensor, bool]:
        """Return features, and whether all of them are finite."""
        features, is_finite, event = fetched
        if event is not None:
            event.synchronize()
        return features, bool(is_finite)


class CudaLink(Link):
    """Copies on a stream of their own, from pinned memory, while the network computes.

    What the host has to wait for is put into the queue right behind the batch that it belongs to:
    when the next batch is launched, the device goes on with that while the host looks at this one.

    Torch keeps pinned memory until the copies from and to it are done, and that of a tensor on
    the device until the streams are past it that it was recorded for.

    Parameters
    ----------
    device : torch.device
        With its number.

    cuda : module, default=torch.cuda
        What streams and events come from.
    """

    depth = 2

    def __init__(self, device: Any, cuda: Any = torch.cuda):
        super().__init__(device)
        self.may_repeat = True
        self.cuda, self.stream = cuda, cuda.Stream(device)

    def send(self, batch: Any) -> Sent:
        if all(values.device.type != "cpu" for values in _tensors(batch)):
            return super().send(batch)
        host = map_batch(self._pinned, batch)
        with self.cuda.stream(self.stream):
            there = map_batch(lambda values: values.to(self.device, non_blocking=True), host)
            arrived = self.stream.record_event()
        return Sent(there, host, arrived)

    def receive(self, sent: Sent) -> Any:
        if sent.arrived is not None:
            current = self.cuda.current_stream(self.device)
            current.wait_event(sent.arrived)
            for values in _tensors(sent.batch):
                # Made on the other stream, which may else give its memory to the next batch.
                values.record_stream(current)
        return sent.batch

    def fetch(self, features: torch.Tensor, *, to_host: bool) -> Any:
        is_finite = self._begin_fetch(torch.isfinite(features).all())
        values = self._begin_fetch(features) if to_host else features
        return values, is_finite, self.cuda.current_stream(self.device).record_event()

    def _begin_fetch(self, values):
        return _pinned_like(values).copy_(values, non_blocking=True)

    def _pinned(self, values):
        if values.device.type != "cpu" or values.is_pinned():
            return values
        return _pinned_like(values).copy_(values)


def make_link(device: Any) -> Link:
    """Return the way to a device and back."""
    device = torch.device(device)
    if device.type != "cuda":
        return Link(device)
    index = torch.cuda.current_device() if device.index is None else device.index
    return CudaLink(torch.device("cuda", index))


def ahead(items: Iterable[Any], n: int) -> Iterator[Any]:
    """Yield items once n - 1 more have been begun, or there are no more."""
    begun = []
    for item in items:
        begun.append(item)
        if len(begun) == n:
            yield begun.pop(0)
    yield from begun


def _pinned_like(values):
    """Return host memory that a device reads and writes by itself, in the same order of values."""
    return torch.empty_like(values, device="cpu", pin_memory=True)


def _tensors(batch):
    return batch.values() if isinstance(batch, Mapping) else (batch,)
