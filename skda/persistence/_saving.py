"""Save and load estimators."""

from collections.abc import Iterable
from typing import Any

from sklearn.base import BaseEstimator

import skda
from skda.monitoring import DriftMonitor
from skda.persistence._container import damaged, read_container, write_container
from skda.persistence._names import Names
from skda.persistence._reader import Reader
from skda.persistence._skops import UntrustedError
from skda.persistence._writer import NotStorableError, Writer

# A monitor is no estimator, and goes where the model goes that it watches.
_STORED = BaseEstimator, DriftMonitor


def save(estimator: BaseEstimator, path: Any) -> None:
    """Write an estimator to a file that holds no code, to be read with :func:`load`.

    All that predictions and transformations need is in it, bit for bit; what only training needs,
    optimisers and alignment, is not, and neither are rows of the training data, unless the
    estimator consists of them. The file is a zip archive of JSON and of a safetensors file, which
    other programs can read. It is written whole: a full disk or an interruption leaves the file
    that was there.

    Parameters
    ----------
    estimator : estimator
        Of this package, fitted or not, or one of scikit-learn around or beside it: pipelines,
        searches, votes; or a :class:`skda.metrics.DriftMonitor`, with its reference.
        Scikit-learn's own that are more than arrays and numbers, such as trees, need skops
        (``pip install "skda[skops]"``).

    path : str or path
        Of the file, such as ``"model.skda"``.

    Raises
    ------
    TypeError
        If a part of the estimator cannot be stored, with its path: lambdas, what is defined
        inside a function, open files, objects with state beside their attributes. Nothing is
        written then.

    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    Folders of caches (``cache``, ``memory``, ``image_store``) are not stored: they belong to a
    machine. An index of pandas, as columns are chosen by, comes back as a list of its names.
    Classes and functions are stored by name; those of the user must be importable where
    the file is read, and be passed there as trusted.

    Examples
    --------
    >>> import os, tempfile
    >>> import skda
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANNClassifier(max_epochs=2, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skda.save(clf, os.path.join(folder, "digits.skda"))
    ...     loaded = skda.load(os.path.join(folder, "digits.skda"))
    >>> bool((loaded.predict(digits.X_target) == clf.predict(digits.X_target)).all())
    True
    """
    if not isinstance(estimator, _STORED):
        raise TypeError(
            "save takes an estimator or a DriftMonitor; got an instance of "
            f"{type(estimator).__name__}."
        )
    writer = Writer()
    try:
        root = writer.value(estimator, "")
    except RecursionError as error:
        raise NotStorableError("", "its parts are nested too deeply") from error
    except NotStorableError as error:
        raise error.with_traceback(None) from None  # the way to the part stands in its path
    objects = {"root": root, "objects": writer.nodes}
    versions = {"skda": skda.__version__}
    write_container(path, objects, writer.tensors, writer.attachments, versions)


def load(path: Any, *, trusted: Iterable[Any] = ()) -> Any:
    """Read an estimator that :func:`save` wrote; no code of the file is run.

    Objects are made of attributes, without a call of their classes, and only of classes of this
    package, of networks of torch, torchvision, timm and transformers, and of estimators of
    scikit-learn that are known to be harmless. Everything else must be passed as trusted. A
    network trained on a device that is not here comes to the CPU.

    Parameters
    ----------
    path : str or path
        Of the file.

    trusted : class, function, str or sequence of these, default=()
        What the file may name beside that: your own modules and functions, or their names, as
        ``"package.module.Class"``. Trust what you know: with it a file can do whatever these do.

    Returns
    -------
    estimator : estimator
        As it was saved.

    Raises
    ------
    ValueError
        If the file names what is not trusted, with what to pass; or if it is damaged, none of
        :func:`save`, or of a later format.

    FileNotFoundError
        If there is no such file.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Digests find damage, not forgery: load what you would let predict. A file from a stranger can
    run no code, but may predict anything, and may describe a network that takes all memory.

    Examples
    --------
    >>> import os, tempfile
    >>> import skda
    >>> from sklearn.decomposition import PCA
    >>> from skda.datasets import load_shifted_digits
    >>> pca = PCA(2).fit(load_shifted_digits(random_state=0).X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skda.save(pca, os.path.join(folder, "pca.skda"))
    ...     skda.load(os.path.join(folder, "pca.skda"))
    PCA(n_components=2)
    """
    names = Names(trusted)
    content = read_container(path)
    try:
        nodes = content.objects["objects"]
        reader = Reader(nodes, content.tensors, content.attachments, names)
        reader.check_names()
        estimator = reader.make(content.objects["root"])
    except UntrustedError:
        raise
    except RecursionError as error:
        raise damaged(path, "its objects are nested too deeply") from error
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError) as error:
        raise damaged(path, f"{type(error).__name__} {error}") from error
    except (TypeError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(estimator, _STORED):
        raise damaged(path, f"it holds a {type(estimator).__name__} and no estimator")
    return estimator
