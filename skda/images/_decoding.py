"""Images decoded in threads while the network runs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from skda._threads import set_own_threads
from skda.images._reading import UnreadableImageError


def decoded_batches(images, batches, *, n_jobs, skip_unreadable=False, pin_memory=False):
    """Decode batches of images, at most two of them ahead of the one in use.

    Whatever the number of images, three batches are in memory at the most, and one decoded file
    per thread. PIL and numpy work outside of Python's lock, so that threads decode in parallel.

    Parameters
    ----------
    images : ImageRows
        The images.

    batches : iterable of slices or arrays of int
        Rows of every batch.

    n_jobs : int
        Number of threads.

    skip_unreadable : bool, default=False
        Whether images that cannot be read become zeros.

    pin_memory : bool, default=False
        Whether batches are put where a CUDA device reads them faster.

    Yields
    ------
    rows : slice or array of int
        As in `batches`.

    inputs : torch.Tensor of shape (n_rows, n_channels, height, width)
        Of the dtype of `images`, with channels last in memory.

    unreadable : dict of int to str
        Why images could not be read, by position in the batch.

    Raises
    ------
    ValueError
        If an image cannot be read and is not to be skipped, or becomes another shape.
    """
    everything = np.arange(len(images))
    dtype = torch.from_numpy(np.empty(0, images.dtype)).dtype

    def start(rows):
        numbers = everything[rows]
        inputs = torch.empty(
            (len(numbers), *images.row_shape),
            dtype=dtype,
            memory_format=torch.channels_last,
            pin_memory=pin_memory,
        )
        places = inputs.numpy()
        tasks = [
            pool.submit(_decode, images, number, place, skip_unreadable)
            for number, place in zip(numbers, places, strict=True)
        ]
        return rows, inputs, tasks

    with ThreadPoolExecutor(
        # A transform in torch would otherwise start threads of its own for every decoder.
        n_jobs,
        thread_name_prefix="skda-decode",
        initializer=set_own_threads,
        initargs=(1,),
    ) as pool:
        waiting = []
        try:
            for rows in batches:
                waiting.append(start(rows))
                if len(waiting) > 1:
                    yield _finished(*waiting.pop(0))
            if waiting:
                yield _finished(*waiting.pop(0))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode(images, number, place, skip_unreadable):
    """Write an image into its place of the batch; return why it cannot be read, or None."""
    try:
        # Not with torch: a copy in torch would start threads of its own.
        place[...] = images.read(number).numpy()
    except UnreadableImageError as error:
        if not skip_unreadable:
            raise
        place[...] = 0
        return str(error)  # the error itself would keep the batch in memory


def _finished(rows, inputs, tasks):
    errors = [task.result() for task in tasks]
    return rows, inputs, {place: error for place, error in enumerate(errors) if error}
