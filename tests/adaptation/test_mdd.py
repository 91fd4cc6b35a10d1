"""MDD: a second classifier, from which the first one learns nothing."""

import pytest
import torch

from skda.adaptation import MDDClassifier
from skda.adaptation.adversarial._mdd import MarginDisparity
from skda.losses import margin_disparity
from skda.nn import Activations, reverse_gradient

WIDTHS = {"features": 4, "logits": 3}


def _fit(few, **params):
    clf = MDDClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(n, 4, generator=generator), torch.randn(n, 3, generator=generator))
        for n in (9, 7)
    ]


def _domains(rows):
    return [Activations({"features": f, "logits": z}, ("features",)) for f, z in rows]


def test_loss_is_minus_the_disparity_to_the_predicted_classes(rows):
    alignment = MarginDisparity(("features",), WIDTHS, margin=2.0)
    logits = [alignment.heads[0](features) for features, _ in rows]
    classes = [z.argmax(dim=1) for _, z in rows]
    expected = -margin_disparity(*logits, *classes, margin=2.0)
    torch.testing.assert_close(alignment(*_domains(rows)), expected)


def test_no_gradient_goes_to_the_first_classifier(rows):
    for features, logits in rows:
        features.requires_grad_()
        logits.requires_grad_()
    MarginDisparity(("features",), WIDTHS)(*_domains(rows)).backward()
    assert all(logits.grad is None and features.grad.any() for features, logits in rows)


def test_features_leave_the_second_classifier_less_room(rows):
    alignment = MarginDisparity(("features",), WIDTHS)
    features = [f.clone().requires_grad_() for f, _ in rows]
    reversed_ = [(reverse_gradient(f), z) for f, (_, z) in zip(features, rows, strict=True)]
    loss = alignment(*_domains(reversed_))
    loss.backward()
    with torch.no_grad():
        moved = [(f - 0.1 * f.grad, z) for f, (_, z) in zip(features, rows, strict=True)]
        assert alignment(*_domains(moved)) > loss
        for parameter in alignment.parameters():
            parameter -= 0.01 * parameter.grad
        assert alignment(*_domains(rows)) < loss


def test_the_head_learns_from_the_labels_alone(few):
    same = {
        "max_epochs": 1,
        "batch_size": 200,
        "trade_off_schedule": "constant",
        "optimizer": "sgd",
    }
    alone, adapted = (_fit(few, trade_off=trade_off, **same) for trade_off in (1e-12, 1.0))
    torch.testing.assert_close(alone.net_.module_.head.weight, adapted.net_.module_.head.weight)
    first, second = (next(clf.net_.module_.backbone.parameters()) for clf in (alone, adapted))
    assert not torch.allclose(first, second, atol=1e-5)


def test_the_margin_changes_the_network(few):
    small, large = (_fit(few, margin=margin, trade_off=1.0) for margin in (1.0, 8.0))
    first, second = (next(clf.net_.module_.parameters()) for clf in (small, large))
    assert not torch.allclose(first, second, atol=1e-4)


def test_keywords_reach_the_second_classifier(few):
    clf = _fit(few, alignment__hidden_layer_sizes=())
    assert clf.net_.alignment_.loss.heads[0][-1].in_features == 64
    with pytest.raises(TypeError, match="alignment__widht"):
        _fit(few, alignment__widht=3)


def test_history_holds_the_health(few):
    history = _fit(few).history_
    assert all(norm > 0 for norm in history[:, "adversary_gradient_norm"])
    assert len(history[:, "target_classes"]) == 2
