"""Networks that return more than one tensor."""

import pickle
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from skda.backbones import BackboneResolver
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

LABELS = [0, 1, 0, 1]


@pytest.mark.parametrize("what", ["name", "instance"])
@pytest.mark.parametrize(("name", "size"), [("googlenet", 32), ("inception_v3", 75)])
def test_auxiliary_classifiers_are_not_in_the_way(name, size, what, pictures):
    models = pytest.importorskip("torchvision.models")
    module = f"torchvision/{name}"
    if what == "instance":
        module = models.get_model(name, init_weights=False)
    clf = FineTuneClassifier(
        module=module,
        weights=None if what == "name" else "pretrained",
        preprocess=dict(size=size),
        max_epochs=1,
        batch_size=4,
    )
    clf.fit(pictures[:4], LABELS)
    assert np.isfinite(clf.history_[-1]["train_loss"])
    assert not [name for name, _ in clf.net_.module_.named_parameters() if "aux" in name.lower()]


@pytest.mark.parametrize("with_auxiliary", [True, False])
def test_auxiliary_classifiers_may_be_in_a_checkpoint(with_auxiliary):
    models = pytest.importorskip("torchvision.models")
    network = models.googlenet(init_weights=False, aux_logits=with_auxiliary)
    resolver = BackboneResolver("torchvision/googlenet", network.state_dict(), {})
    resolver.start()
    built = resolver.build((3, 64, 64))
    assert torch.equal(built.conv1.conv.weight, network.conv1.conv.weight)
    assert built.train()(torch.zeros(2, 3, 64, 64)).shape == (2, 1024)


Pair = namedtuple("Pair", "logits aux")


class Returning(nn.Module):
    """Returns what a function makes of a row's mean colour."""

    def __init__(self, make):
        super().__init__()
        self.make, self.layer = make, nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.make(self.layer(x).mean(dim=(2, 3)))


def as_maps(x):
    return OrderedDict(out=x[:, :, None, None])


def as_pair(x):
    return Pair(x, x)


def as_dict(x):
    return {"logits": x}


def as_tuple(x):
    return x, x


WRONG = [
    (as_maps, "OrderedDict of 'out', as a segmentation network does"),
    (as_pair, "Pair"),
    (as_dict, "dict of 'logits'"),
    (as_tuple, "tuple"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_other_outputs_are_errors(make, message):
    X = np.zeros((4, 3, 8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match=f"layers: 'features'.* got {message}"):
        DeepFeatureExtractor(Returning(make)).fit(X)
    with pytest.raises(ValueError, match=f"module: Returning must return.*{message}"):
        FineTuneClassifier(module=Returning(make)).fit(X, LABELS)


def test_layers_of_a_network_with_other_outputs_can_be_read():
    X = np.ones((4, 3, 8, 8), dtype=np.float32)
    extractor = DeepFeatureExtractor(Returning(as_maps), layers="layer")
    assert extractor.fit_transform(X).shape == (4, 4)


def as_model_output(x):
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    return BaseModelOutputWithPooling(last_hidden_state=x[:, None], pooler_output=x)


def as_unpooled(x):
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=x[:, None])


def test_pooled_output_of_an_own_module():
    pytest.importorskip("transformers")
    X = np.random.RandomState(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    module = Returning(as_model_output)
    extractor = DeepFeatureExtractor(module).fit(X)
    expected = module(torch.from_numpy(X)).pooler_output.detach().numpy()
    np.testing.assert_allclose(extractor.transform(X), expected, rtol=1e-5, atol=1e-6)
    copied = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(copied.transform(X), extractor.transform(X))
    assert FineTuneClassifier(module=module, max_epochs=1).fit(X, LABELS).predict(X).shape == (4,)
    with pytest.raises(ValueError, match=r"without pooler_output \(last_hidden_state\)"):
        DeepFeatureExtractor(Returning(as_unpooled)).fit(X)


def test_weights_of_torchvision_say_how_inputs_are_transformed(monkeypatch):
    models = pytest.importorskip("torchvision.models")
    network = models.googlenet(init_weights=False)
    entry = models.GoogLeNet_Weights.DEFAULT
    monkeypatch.setattr(type(entry), "get_state_dict", lambda self, **kw: network.state_dict())
    resolver = BackboneResolver(network, entry, {})
    resolver.start()
    assert resolver.build((3, 64, 64)).transform_input and not network.transform_input
