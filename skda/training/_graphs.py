"""Recording of training steps as CUDA graphs: one launch in the place of hundreds."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

# Of a device's memory. Steps that need more are large, and do not wait for Python.
_LARGEST_SHARE = 0.25


def make_recorder(device: Any) -> "CudaRecorder | None":
    """Return what records steps on a device, None where nothing does."""
    device = torch.device(device)
    if device.type != "cuda" or torch.version.cuda is None:
        return None
    return CudaRecorder(device)


class CudaRecorder:
    """Records what a function launches on a CUDA device, from which all of it is launched again.

    Parameters
    ----------
    device : torch.device
        A CUDA device.
    """

    def __init__(self, device: torch.device):
        with torch.cuda.device(device):
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._stream = torch.cuda.Stream(self.device)

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Within this context all is launched on a stream that can be recorded.

        It begins when what came before is done, and what comes after waits for it.
        """
        caller = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(caller)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            caller.wait_stream(self._stream)

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Take a step, and return a function that takes it again.

        Parameters
        ----------
        step : callable
            Reads and writes memory that stays where it is, and draws from the process's generator
            alone; has been called before on this stream.

        Returns
        -------
        replay : callable
            Takes the step.

        Raises
        ------
        RuntimeError
            If it cannot be recorded. No step is taken then.
        """
        self._check_room()
        graph: Any = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        with _no_garbage_collection():
            # Calls of other threads are no business of this recording.
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                step()
            except BaseException:
                self._give_up(graph)
                raise
            try:
                graph.capture_end()
            except RuntimeError:
                self._give_up(graph)
                raise
        graph.replay()
        return graph.replay

    def _check_room(self):
        """Raise if what a recording holds, as much as a step again, could crowd out others."""
        total = torch.cuda.get_device_properties(self.device).total_memory
        if torch.cuda.max_memory_allocated(self.device) > _LARGEST_SHARE * total:
            raise RuntimeError(
                f"more than {_LARGEST_SHARE:.0%} of the device's memory was in use, and a "
                "recording holds the memory of a step"
            )

    def _give_up(self, graph):
        """End a recording that failed, which torch leaves half open."""
        with contextlib.suppress(RuntimeError):
            graph.capture_end()
        with contextlib.suppress(Exception):
            torch._C._cuda_endAllocateToPool(  # pyright: ignore[reportAttributeAccessIssue]
                self.device.index, graph.pool()
            )
        torch.cuda.synchronize(self.device)
        # The process's generator still takes itself for one that is recorded, and raises at the
        # next draw. The end of a recording that does not fail sets it right.
        place = torch.zeros(1, device=self.device)
        healing: Any = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        healing.capture_begin(capture_error_mode="thread_local")
        place.add_(1)
        healing.capture_end()


@contextmanager
def _no_garbage_collection():
    """Keep Python from freeing what is on the device, which a recording does not allow."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
