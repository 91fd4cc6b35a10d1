"""The contract of every deep adaptation estimator, and how to write one.

A method is a subclass of :class:`DeepAdaptationClassifier`. Its parameters are annotated class
attributes; no decorator and no ``__init__`` is needed. What it does otherwise than its parent it
says by class attributes where those will do, and else by one of eight hooks. Whatever is declared
in a way that nobody would look at (an attribute without annotation in the place of a parameter, a
misspelt hook) is an error when the class is made.

Class attributes
----------------
``alignment``, ``layers``, ``trade_off``, ...
    Any parameter with another default (``trade_off: float = 0.5``), or fixed, and then no parameter
    any more (``layers: ClassVar = ("logits",)``, or a static method ``alignment``).

``net_class``
    The skorch net, a subclass of :class:`skda.training.AdaptationNet` or, where two players learn
    in turns, of :class:`skda.training.TwoPlayerNet`. A net says by skorch's own methods what a step
    of training is (``train_step_single``) and what a forward gives (``infer``), and by its
    attribute ``adversary`` which parts learn against the others. In a step of its own it finds
    ``current_trade_off``, ``get_classification_loss(logits, labels)``, which knows the weights of
    the rows, ``descend(loss, optimizer)``, ``backward(loss)`` and, of two players,
    ``fixed_adversary()``. Steps of its own within a batch it owns up to by ``accumulates = False``,
    since no step can wait for further batches then (``gradient_accumulation_steps``).

``iterator_class``
    The training batches, a subclass of :class:`skda.training.PairedBatches`.

``module_class``, ``head_class``
    The network around the backbone, a subclass of :class:`skda.training.AdaptationModule`, and its
    head, which is called with the number of features and of outputs.

``feature_layer``
    Path of the submodule whose output is taken for the features; ``"features"`` is the end.

``keeps_alignment``
    Whether the estimator has a use for the alignment after ``fit``, so that pickles keep it.

``task_class``
    What the labels mean, see :class:`skda.estimators.ClassificationTask`.

``keyword_prefixes``
    The ``prefix__*`` keywords that the constructor takes, beside those of the net.

``idle_hooks``
    Names of hooks that the method does not call, so that a subclass which writes one is told so.

Hooks
-----
In the order in which they run, all within ``fit``; `training` is the
:class:`skda.training.Training`, of which the more is known the later a hook runs.

``make_backbone(training) -> torch.nn.Module``
    The network from inputs, of shape (n, *input_shape_), to features. Runs first, with the seed of
    the module; call the parent's and change what it returns, or return another network.

``name_layers(training) -> sequence of str``
    The layers whose activations are aligned: ``"inputs"``, ``"features"``, ``"logits"`` or paths of
    submodules of ``training.backbone``. Afterwards ``training.layers`` holds their paths and
    ``training.widths`` the number of values of a row at each of them.

``make_stages(training) -> list of skda.training.Stage``
    What is trained, one after the other; the parent's one stage trains the net once.

``make_module(training, **params) -> skda.training.AdaptationModule``
    The network with its head, from ``training.backbone`` as the stages before have left it. Call
    the parent's with other parameters of the module (``bottleneck=``, ``batch_norm=``,
    ``moments=``), and change what it returns. It sets the widths of ``"features"`` and
    ``"logits"``.

``net_params(training) -> dict``
    Keywords of the net, beside those that every net gets. Runs after `make_module`, with the seed
    of the alignment; the parent's calls `make_alignment`.

``make_alignment(layers, widths) -> torch.nn.Module``
    The alignment of all layers: of two :class:`skda.nn.Activations` (source rows, target rows) a
    scalar. `layers` is a tuple of paths, `widths` a dict of ints by layer. Runs only with a target
    and a trade-off; the parent's calls `make_loss` for every layer, or once if it is joint.

``make_loss(alignment, layers, widths) -> callable``
    The loss of one layer, from source and target features, of shape (n, n_features) each, to a
    scalar; or of several layers if the alignment is joint (:func:`skda.nn.joint`), from two
    :class:`skda.nn.Activations`. `layers` is always a tuple, of one path or of all.

``finish_fit(training)``
    Runs last, and sets what the estimator has learned: call the parent's, then set attributes that
    end in an underscore from ``training.net`` and ``training.histories``.

What hooks find
---------------
On the estimator: ``params_for(prefix)``, the keywords of a prefix by name; ``make_part(name, part,
*sizes)``, a copy of a module or what a class makes with these keywords; ``build_net(training)``,
the net of the estimator, for a stage. On a net: ``successor(net_class=None, **params)``, a net that
goes on with the same network; ``activations_of(rows, layers, domain)``. On a module that an
alignment is made of: a method ``end_epoch()`` is called after every epoch, and may return figures
for the history by name; an attribute ``adversarial = True`` reverses its gradient.
scikit-learn's ``_parameter_constraints`` of a class are added to those of its parents.
"""

from skda.backbones import check_keywords
from skda.estimators import (
    CLASS_WEIGHTS,
    DeepAdaptationEstimator,
    DomainClassificationMixin,
    estimator,
)
from skda.nn import ALIGNMENTS

__all__ = ["ALIGNMENTS", "DeepAdaptationClassifier", "check_keywords", "estimator"]


class DeepAdaptationClassifier(DomainClassificationMixin, DeepAdaptationEstimator):
    r"""Deep classifier that learns on a source domain and adapts to a target domain.

    A backbone gives features, a linear head gives classes, and both learn from ::

        loss = cross_entropy(source, y) + trade_off * alignment(source, target)

    where the alignment compares the activations of source and target rows at chosen layers. Every
    adaptation method of :mod:`skda.adaptation` is this class with an alignment of its own; by
    itself it takes any.

    Parameters
    ----------
    class_weight : {"balanced"}, dict or None, default=None
        How much the rows of every class count in the classification loss, times their
        `sample_weight`; a dict by class, with 1 for those that it lacks. ``"balanced"`` lets all
        classes count the same: n_samples / (n_classes * n_samples of the class), where labelled
        rows are counted, those of the source by `sample_weight`. The head begins with the shares
        of classes that these weights make. What aligns domains knows no weights.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes of the source.

    See Also
    --------
    skda.adaptation.DANNClassifier : Adversarial alignment.
    skda.adaptation.DANClassifier : Alignment by maximum mean discrepancy.
    skda.adaptation.DeepCORALClassifier : Alignment of covariances.

    Examples
    --------
    >>> from skda.base import DeepAdaptationClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> def mean_distance(source, target):
    ...     return (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    >>> clf = DeepAdaptationClassifier(alignment=mean_distance, max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    class_weight: str | dict | None = None

    _parameter_constraints = {"class_weight": CLASS_WEIGHTS}
