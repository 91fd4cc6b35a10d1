"""RTN's two classifiers."""

import numpy as np
import pytest
import torch

from skda.adaptation import RTNClassifier
from skda.base import DeepAdaptationClassifier
from skda.nn import Activations


def _fit(few, **params):
    clf = RTNClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_both_classifiers_start_as_one(few):
    clf = _fit(few, max_epochs=1, lr=1e-12)
    module, logits = clf.net_.module_, torch.randn(5, 10)
    with module.rows.of((5,)):
        torch.testing.assert_close(module.labelled_logits(logits, 5), logits)


def test_labels_train_the_residual_of_the_source_alone(few):
    clf = _fit(few)
    module, logits = clf.net_.module_, torch.randn(5, 10)
    with module.rows.of((3, 2)):
        given = module.labelled_logits(logits, 5)  # two labelled target rows
    assert not torch.equal(given[:3], logits[:3])
    assert torch.equal(given[3:], logits[3:])


def test_predictions_are_those_of_the_target_classifier(few):
    clf = _fit(few)
    before = clf.predict_proba(few["X_target"])
    for parameter in clf.net_.module_.source_residual.parameters():
        parameter.data.normal_()
    np.testing.assert_array_equal(clf.predict_proba(few["X_target"]), before)


def test_held_out_source_rows_meet_the_source_classifier(few):
    clf = _fit(few, validation_fraction=0.2, max_epochs=3)
    residual = clf.net_.module_.source_residual
    for parameter in residual.parameters():
        parameter.data.mul_(100)
    X, y = torch.tensor(few["X"][:50]).float(), torch.tensor(few["y"][:50])
    clf.net_.history.new_epoch()
    clf.net_.history.new_batch()
    with clf.net_.module_.rows.of((1,)):
        step = clf.net_.validation_step((X, y))
    logits = torch.from_numpy(clf.decision_function(X.numpy()))
    assert not torch.allclose(step["y_pred"], logits, atol=1e-3)


def test_entropy_is_that_of_the_target_classifier(few):
    """Without the discrepancy the loss is the entropy of the target's own logits."""
    clf = _fit(few, entropy_weight=2.0, max_epochs=1, lr=1e-12)
    parts = {weight: part for part, weight in clf.net_.alignment_.parts()}
    logits = torch.randn(6, 10)
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    given = parts[2.0](Activations({}, ()), Activations({"logits": logits}, ()))
    torch.testing.assert_close(given, entropy)


def test_without_losses_and_residual_it_is_the_source_alone(few):
    clf = _fit(few, trade_off=0)
    alone = DeepAdaptationClassifier(trade_off=0, max_epochs=2, random_state=0)
    alone.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.net_.module_.source_residual is None
    np.testing.assert_array_equal(
        clf.predict_proba(few["X_target"]), alone.predict_proba(few["X_target"])
    )


def test_negative_weight_of_the_entropy(few):
    with pytest.raises(ValueError, match="entropy_weight"):
        _fit(few, entropy_weight=-1)


def test_residual_learns_at_the_rate_of_the_head(few):
    clf = _fit(few, module=_fit(few), max_epochs=1)
    rates = {id(p): g["lr"] for g in clf.net_.optimizer_.param_groups for p in g["params"]}
    module = clf.net_.module_
    assert rates[id(module.source_residual[0].weight)] == rates[id(module.head.weight)]
