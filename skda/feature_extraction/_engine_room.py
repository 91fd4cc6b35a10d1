"""Which engine runs for how many rows, and engines that the clones of a search share."""

import os
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import torch

from skda._digest import digest
from skda.feature_extraction._engines import engine_choices, make_engine

# Converting MobileNetV2 takes 9 CPU seconds, which fewer images do not repay.
ROWS_THAT_REPAY = 330

# A converted network holds its weights once more.
_MOST_ENGINES, _MOST_COUNTS = 4, 256


class Shared:
    """What a process makes once for a key, the latest few of it.

    Parameters
    ----------
    size : int
        How many are kept.

    Examples
    --------
    >>> from skda.feature_extraction._engine_room import Shared
    >>> shared = Shared(2)
    >>> shared.get("a", lambda: "made"), shared.get("a", lambda: "made again")
    ('made', 'made')
    """

    def __init__(self, size: int):
        self.size = size
        self.forget()

    def forget(self) -> None:
        """Begin anew; in a forked process threads of a library and holders of locks are gone."""
        self._made: OrderedDict[Any, Any] = OrderedDict()
        self._lock, self._locks = Lock(), {}

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what belongs to a key; threads that ask at once wait for the first."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            with self._lock:
                if key in self._made:
                    self._made.move_to_end(key)
                    return self._made[key]
            made = make()  # an exception leaves nothing behind
            with self._lock:
                self._made[key] = made
                while len(self._made) > self.size:
                    oldest, _ = self._made.popitem(last=False)
                    self._locks.pop(oldest, None)
            return made


_ENGINES, _COUNTS = Shared(_MOST_ENGINES), Shared(_MOST_COUNTS)
# Of a forked process: an engine that is let go waits for ever for its threads, which are not there.
_LEFT_ALONE: list[Any] = []


def _begin_after_fork():
    _LEFT_ALONE.append(vars(_ENGINES).copy())
    _ENGINES.forget()
    _COUNTS.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_after_fork)


class _Count:
    n_rows = 0


class EngineRoom:
    """The engines of one extractor.

    With ``engine="auto"`` rows run through torch as they are until so many of them have come, in
    this call or before it, that a conversion pays. Rows are counted by network: of all clones with
    the same weights and settings in this process, which share what was converted, too.
    """

    def __init__(self):
        self._made, self._keys, self._counts = {}, {}, {}  # by domain of the rows
        self._lock = Lock()

    def expect(self, feature_module: Any, n_rows: int) -> None:
        """Count rows that will go through a network that may be converted.

        Parameters
        ----------
        feature_module : FeatureModule
            The network.

        n_rows : int
            How many inputs of it.
        """
        domain = _domain_of(feature_module)
        with self._lock:
            if domain not in self._keys:
                key = self._keys[domain] = _key_of(feature_module)
                self._counts[domain] = _COUNTS.get(key, _Count) if key else _Count()
            self._counts[domain].n_rows += n_rows

    def engine_for(
        self, feature_module: Any, example: Any, *, engine: str, precision: str, device: Any
    ) -> Any:
        """Return what runs the network on a device; made when it is first needed.

        Parameters
        ----------
        feature_module : FeatureModule
            The network.

        example : torch.Tensor of shape (n, ...)
            Some rows of input.

        engine, precision, device
            As :func:`skda.feature_extraction._engines.make_engine` takes them.

        Returns
        -------
        engine : Engine
            From batches to features.
        """
        domain = _domain_of(feature_module)
        n_rows = self._counts[domain].n_rows if domain in self._counts else 0
        if engine == "auto" and device.type == "cpu" and n_rows < ROWS_THAT_REPAY:
            first, _ = engine_choices(engine, precision, device)[0]
            # What comes later must not differ by more than rounding.
            precision = "float32" if first == "onnxruntime" else precision
            engine = "eager"
        with self._lock:
            if (device, engine, domain) not in self._made:
                key = self._keys.get(domain), tuple(example.shape[1:])
                self._made[device, engine, domain] = make_engine(
                    feature_module,
                    example,
                    engine=engine,
                    precision=precision,
                    device=device,
                    share=partial(_share, key),
                )
            return self._made[device, engine, domain]


def _share(key, name, precision, make):
    """Return a converted network, of a clone if there is one."""
    if not key[0]:
        return make()

    def attempt():
        try:
            return make(), None
        except ImportError:
            raise
        except Exception as error:  # which takes as long as success, and comes again
            return None, error.with_traceback(None)

    run, error = _ENGINES.get((*key, name, precision, torch.get_num_threads()), attempt)
    if error is not None:
        raise error.with_traceback(None)
    return run


def _domain_of(feature_module):
    """Return what says which domain's statistics an adapted network has."""
    return getattr(feature_module, "sizes", None)


def _key_of(feature_module):
    """Return a digest of a network, empty if it has none."""
    try:
        settings = feature_module.layers, feature_module.pooling, _domain_of(feature_module)
        return digest(feature_module.module, *settings)
    except TypeError:
        return b""
