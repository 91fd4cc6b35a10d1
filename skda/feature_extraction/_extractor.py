"""Features of any deep network, as a transformer."""

import os
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skda._sklearn_compat import Interval, StrOptions, fit_context
from skda._torch import as_trained, local_torch_state, seed_generators
from skda.backbones import BackboneResolver
from skda.estimators import ModuleKeywords
from skda.feature_extraction._computation import ComputationMixin
from skda.feature_extraction._dask import first_rows, is_dask
from skda.feature_extraction._domains import DomainRowsMixin
from skda.feature_extraction._engines import ENGINES
from skda.feature_extraction._export import ExportMixin
from skda.feature_extraction._inputs import InputMixin, row_shape
from skda.feature_extraction._output import OutputMixin
from skda.feature_extraction._precision import PRECISIONS
from skda.feature_extraction._versions import AUGMENTATIONS
from skda.images import LAYOUTS
from skda.rows import INPUTS, map_batch

if TYPE_CHECKING:
    from typing_extensions import Self


class DeepFeatureExtractor(
    DomainRowsMixin, InputMixin, ComputationMixin, OutputMixin, ExportMixin, ModuleKeywords
):
    r"""Activations of a deep network as features for any scikit-learn estimator.

    The network is not trained: rows go through it once, in eval mode, ::

        a(x) = [pool(a_1(x)), pool(a_2(x)), ...]            layers side by side
        b(x) = mean of a(v) over the versions v of x        `augment`
        c(x) = sign(b(x)) * |b(x)| ** power
        features(x) = c(x) / ||c(x)||                       if `normalize`

    where a_l is the output of the l-th of the chosen `layers`. With a network pretrained on
    ImageNet and a linear support vector machine after it this is the recipe of DeCAF [1]_ and
    of Razavian et al. [2]_; layers close to the end transfer better between domains than early
    ones [1]_. In [2]_ the classifier is trained on all versions of an image and its responses
    to them are added at test time; for a linear classifier and without `power` and `normalize`
    the sum of the responses is the response to the averaged features, up to a factor.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory or fitted estimator, default=None
        The network.

        - A name: ``"timm/NAME"``, ``"torchvision/NAME"``, ``"transformers/NAME"`` or
          ``"sentence-transformers/NAME"``, ``"hf-hub:OWNER/NAME"``, or the folder of a network: a
          network of that library without its classifier.
        - A module: it is copied; a classifier of these libraries is taken off, unless `layers`
          names it. A class or factory is called with the ``module__*`` keywords, and with
          ``in_features`` (tables), ``in_channels`` and ``image_size`` (images), ``in_channels``
          and ``length`` (series) where it has parameters of these names.
        - A fitted estimator of :mod:`skda.adaptation`: its backbone, with the statistics of the
          target domain. In a search wrap it in a :class:`sklearn.frozen.FrozenEstimator`, for a
          plain clone is not fitted.
        - None: an untrained :class:`skda.nn.MLP`, :class:`skda.nn.ConvNet` or
          :class:`skda.nn.SeriesNet`: random features, the control for others.

    layers : str or tuple of str, default="features"
        Where features are read; several layers are put side by side. ``"features"`` is the
        output of the network; in a named network, that of the pooling before its classifier.
        ``"torchvision/alexnet"`` has the layers of DeCAF [1]_: ``"pool5"`` (9216 values),
        ``"fc6"`` and ``"fc7"`` (4096 each, after their ReLU).
        Every other name is the path of a submodule, as ``module.named_modules()`` spells it; of
        a submodule that runs several times the last output counts.

    weights : {"pretrained"}, path, mapping or None, default="pretrained"
        ``"pretrained"`` takes the library's weights of a named network, downloaded on first use,
        and leaves every other backbone as it is. None gives a named network random weights. A
        path is that of a ``.safetensors`` file or of a state dict or checkpoint saved with
        ``torch.save``, a mapping is a state dict, and an entry of torchvision's enumerations or
        its name chooses among published ones. Prefixes such as ``module.`` and a classifier that
        is not needed do no harm; every other key must fit. No code of a file is run.

    weights_sha256 : str, default=None
        Hash that the file of `weights` must have, in hexadecimal.

    pooling : {"avg", "max", "flatten"} or None, default="avg"
        What becomes of activations with more than 2 dimensions: the average or maximum over
        positions, or all values. Positions are the dimensions after the second, and the second
        one in activations of shape (n, n_tokens, n_channels), which those of 3 dimensions are
        unless X holds series; tokens that only pad a text are left out. None pools nothing, and
        layers with more than 2 dimensions are an error.

    preprocess : {"auto"}, dict or callable, default="auto"
        From a PIL image in RGB, or grey for a network of one channel, to a tensor or array of
        shape (C, H, W). ``"auto"`` is what a network of a library carries; before other networks
        images are only scaled to [0, 1] and must be of one size.

        A dict changes that, or the usual one of ImageNet for other networks: ``size`` of the
        input in pixels, ``crop_pct`` (the shorter side is resized to size / crop_pct before the
        crop), ``mean`` and ``std`` of pixels in [0, 1], ``interpolation`` (a filter of PIL, such
        as ``"bilinear"``) and ``crop_mode`` (``"center"``; ``"squash"`` resizes both sides,
        whatever the aspect ratio, as DeCAF does).

        Float arrays are taken as they are.

    input : {"auto", "table", "image", "series", "text", "tokens"}, default="auto"
        What the rows of X are, where it cannot be seen. ``"auto"`` takes 2 dimensions for a
        table, 4 for images, and 3 for series if there are at most 16 channels and at least 4
        times as many steps, for grey images if these are square or whole numbers of 8 or 16 bits;
        strings are paths of images, or texts before a network of texts. ``"tokens"`` passes whole
        numbers of shape (n_samples, length) on as they are, as a dict of arrays always is: its
        entries become keyword arguments of the module.

    image_layout : {"auto", "channels_first", "channels_last"}, default="auto"
        Of arrays of images: (n_samples, n_channels, height, width) or (n_samples, height, width,
        n_channels). ``"auto"`` takes the one that is possible, and raises if both are.

    image_reading : dict, default=None
        How pictures are read: ``exif_orientation`` (True: upright), ``background`` of
        transparent pixels (255), ``frame`` of files with several, ``value_range`` of pictures
        with more than 8 bits; see :class:`skda.images.ImageReading`.

    image_shape : tuple of int, default=None
        Shape of an image if the rows of a 2-d X are flat images: (n_channels, height, width),
        (height, width, n_channels) or (height, width). None takes 2-d rows for tables.

    augment : {"none", "flip", "five_crop", "sixteen"}, default="none"
        Versions of an image whose features are averaged: the image and its mirror image; the
        four corners and the centre, each 4/9 of the area; or the 16 of [2]_: the image, the five
        crops and two rotations (by 15 degrees; the paper gives no angle), with their mirror
        images. They are made from the network's input, after `preprocess`.

    power : float, default=1.0
        Exponent of the signed power of every feature.

    normalize : bool, default=False
        Whether rows are brought to unit Euclidean norm at the end. Rows of zeros stay so.

    on_error : {"raise", "nan"}, default="raise"
        What an image that cannot be read is: an error with its path, or a row of NaN and one
        warning for all of them.

    batch_size : int or "auto", default="auto"
        Rows that are decoded and run through the network at a time. Features do not depend on it
        beyond rounding, 1e-4 of their norm in float32. ``"auto"`` is 32 on a CPU, and more, up
        to 1024, for rows and networks that are small. On other devices it doubles from 32 on as
        long as rows come out faster and memory lasts, which is kept for later calls; since time
        decides, features of two runs can differ by rounding, and only a number makes them the
        same bit for bit. Compiled networks begin with 256 there; texts have 32.

    device : str or torch.device, default="auto"
        Where the network runs; ``"auto"`` takes the CPU for the engines that run nowhere else
        (openvino, onnxruntime), else the device of X if that is a tensor outside of the CPU,
        else a CUDA device where there is one.

    engine : {"auto", "eager", "compile", "openvino", "onnxruntime"}, default="auto"
        What runs the network: torch, :func:`torch.compile` (slow to start, needs a C++
        compiler), or the library of that name (an extra; converting a network takes seconds).
        ``"auto"`` takes torch for small networks, on other devices than a CPU, and until 330 rows
        have come, which repay a conversion; then the first of openvino, onnxruntime and torch
        that is installed and can run the network. Clones with the same weights count together,
        and share what was converted.

    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Of the network; features are float32. ``"auto"`` is float32, but half precision for
        networks that are not small where the processor is made for it. On a CUDA device (compute
        capability 7.0) that is float16, at a difference of about 0.1 %, or bfloat16 where float16
        is too narrow: for the first rows, or, from there on, where features overflow, whose rows
        are done again. On a CPU with AMX it is bfloat16, at about 1 %. ``verbose=1`` tells.

    cache : str or path, default=None
        Folder on a disk of this machine that remembers the features of every row, by its content
        and by all that they depend on; None remembers nothing. Processes may share it.

    cache_size_limit : int, default=None
        Size of the cache in bytes from which on the oldest rows are dropped.

    n_jobs : int, default=None
        Threads that decode images while the network runs. None means 1, and -1 all processors.

    n_threads : int, "auto" or None, default="auto"
        How many threads the network takes at most, on a CPU, beside those of `n_jobs`; never more
        than torch by itself (``torch.get_num_threads()``), which is what None leaves. With torch as
        the engine ``"auto"`` goes by the multiply-adds of an average layer in a batch: one thread
        for every 15 million, of a quarter of the processors, and all threads from 1,500 million
        on. With others it is all threads: they do not wait for each other busily.

    verbose : int, default=0
        1 shows how far transform is: a bar on a terminal or in a notebook, lines elsewhere, and
        nothing within a search. 2 adds the estimated rest of time, and lines within a search.

    random_state : int, RandomState instance or None, default=None
        Seeds random weights. The global generator of torch is not touched.

    **prefixed_params : keywords
        ``module__*``, for the class, factory or library that makes the network.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network.

    preprocess_ : callable or None
        From a PIL image to the network's input; None if images are only scaled to [0, 1].

    input_shape_ : tuple of int
        Shape of a row as the network takes it: (n_features,) or (n_channels, height, width).

    layer_sizes_ : dict of str to int
        Number of features of every layer, in the order of `layers`.

    n_features_in_ : int
        Number of columns of a table, number of values of a row of an image array, 1 for a list
        of images or paths.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X has names that are all strings.

    See Also
    --------
    skda.adaptation.DeepCORALClassifier : Learns features that suit a target domain.

    Notes
    -----
    Files are decoded by threads, at most two batches ahead of the one that the network has, so
    that memory does not grow with their number. Pickled extractors work in other processes, on
    blocks of rows: a dask array or bag given to ``transform`` becomes a dask array, and with ray
    it is ``dataset.map_batches(lambda rows: {"x": extractor.transform(rows["image"])})`` for a
    column of encoded images, paths or pixels.

    References
    ----------
    .. [1] J. Donahue et al. DeCAF: A Deep Convolutional Activation Feature for Generic Visual
       Recognition. ICML 2014.

    .. [2] A. S. Razavian et al. CNN Features off-the-shelf: an Astounding Baseline for
       Recognition. CVPR Workshops 2014.

    Examples
    --------
    A pretrained network is ``DeepFeatureExtractor("timm/mobilenetv2_100")``. Random features of
    tables, the control:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.feature_extraction import DeepFeatureExtractor
    >>> digits = load_shifted_digits(random_state=0)
    >>> extractor = DeepFeatureExtractor(layers=("hidden1", "features"), random_state=0)
    >>> extractor.fit_transform(digits.X).shape
    (898, 192)
    >>> svm = make_pipeline(extractor, LinearSVC()).fit(digits.X, digits.y)
    >>> svm.predict(digits.X_target).shape
    (899,)
    """

    module: Any = field(default=None, kw_only=False)
    layers: str | tuple[str, ...] = "features"
    weights: Any = "pretrained"
    weights_sha256: str | None = None
    pooling: str | None = "avg"
    preprocess: str | dict | Callable = "auto"
    input: str = "auto"
    image_layout: str = "auto"
    image_reading: dict | None = None
    image_shape: tuple[int, ...] | None = None
    augment: str = "none"
    power: float = 1.0
    normalize: bool = False
    on_error: str = "raise"
    batch_size: int | str = "auto"
    device: Any = "auto"
    engine: str = "auto"
    precision: str = "auto"
    cache: str | os.PathLike | None = None
    cache_size_limit: int | None = None
    n_jobs: int | None = None
    n_threads: int | str | None = "auto"
    verbose: int = 0
    random_state: Any = None

    keyword_prefixes = ("module",)
    __metadata_request__transform = {"out": UNUSED}

    _parameter_constraints = {
        "module": [str, nn.Module, callable, BaseEstimator, None],
        "layers": [str, tuple, list],
        "weights": [str, os.PathLike, Mapping, Enum, None],
        "weights_sha256": [str, None],
        "pooling": [StrOptions({"avg", "max", "flatten"}), None],
        "preprocess": [StrOptions({"auto"}), Mapping, callable],
        "input": [StrOptions(set(INPUTS))],
        "image_layout": [StrOptions(set(LAYOUTS))],
        "image_reading": [Mapping, None],
        "image_shape": [tuple, list, None],
        "augment": [StrOptions(set(AUGMENTATIONS))],
        "power": [Interval(Real, 0, None, closed="neither")],
        "normalize": ["boolean"],
        "on_error": [StrOptions({"raise", "nan"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "device": [str, torch.device],
        "engine": [StrOptions(set(ENGINES))],
        "precision": [StrOptions(set(PRECISIONS))],
        "cache": [str, os.PathLike, None],
        "cache_size_limit": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, sample_domain: Any = None) -> "Self":
        """Build the network and run the first row through it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Tables, dense or sparse (dense a batch at a time); or images: floats of shape
            (n_samples, n_channels, height, width), uint8 of shape (n_samples, height, width,
            n_channels), other arrays as `image_layout` says, flat rows of `image_shape`, or a
            list, Series or column of PIL images, of paths or of encoded images (bytes); or series
            of shape (n_samples, n_channels, length), texts, token ids, dicts of arrays, and data
            sets and loaders of torch or Hugging Face with any of these. Arrays may be memory maps
            (read batch by batch if float32 or uint8), tensors on any device, or dask arrays; a
            dask bag is a list of images.

        y : None
            Ignored.

        sample_domain : array-like of shape (n_samples,), default=None
            Ignored here, see :meth:`fit_transform`.

        Returns
        -------
        self : object
            The fitted extractor.

        Raises
        ------
        TypeError, ValueError
            If data, parameters or weights are not as described, or if X mixes images with other
            things.

        ImportError
            If an optional library is needed that is not installed.
        """
        self._check_param_names()
        self._engines = {}
        self._layer_names()
        if is_dask(X):
            X = first_rows(X)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        device = self._device_for(X)
        with local_torch_state(device) as own:
            seed_generators(seed, device)
            resolver = BackboneResolver(
                self.module,
                self.weights,
                self.params_for("module"),
                sha256=self.weights_sha256,
                keep=self._layer_names(),
            )
            resolver.start()
            self._reader = self._make_reader(
                resolver, image_shape=self.image_shape, keeps_device=True
            )
            example = self._first_input(self._validate_X(X, reset=True))
            self.input_shape_ = row_shape(example)
            self.module_ = as_trained(resolver.build(self.input_shape_)).to(device).eval()
            n_before = own.n_draws
            features = self._first_features(map_batch(lambda x: x.to(device), example))
            self._draws = own.n_draws > n_before  # which few networks do in eval mode
        for note in resolver.notes if self.verbose else ():
            print(note)
        self.layer_sizes_ = {layer: x.shape[1] for layer, x in features.items()}
        return self

    def transform(self, X: Any, out: Any = None, domain: Any = "target") -> Any:
        """Return the features of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        out : array of floats of shape (n_samples, n_features_out), default=None
            Where features are written, batch by batch: an ndarray, a memory map, a tensor, a
            dataset of h5py or an array of zarr (fastest where `batch_size` is a multiple of the
            rows of its chunks). It is what is returned then.

        domain : {"source", "target"} or int, default="target"
            With a fitted estimator of :mod:`skda.adaptation` as `module`: whose rows they are,
            and whose statistics normalise them; a number is that of one of several targets.

        Returns
        -------
        features : ndarray, torch.Tensor or dask array of shape (n_samples, n_features_out)
            In float32; a tensor on the same device if X is a tensor, a lazy dask array if X is a
            dask array or bag.

        Raises
        ------
        ValueError
            If rows or `out` are not as described, if an image cannot be read and `on_error` is
            ``"raise"``, or if features are not finite.

        Warns
        -----
        UserWarning
            Once, if images could not be read and `on_error` is ``"nan"``.
        """
        check_is_fitted(self)
        return self._transform(X, out, domain)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32 whatever X is
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "layer_sizes_")
