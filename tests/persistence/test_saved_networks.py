"""Networks of all kinds: of other libraries, with state of their own, tied, hooked, recurrent."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from skda.adaptation import DANNClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

SIZES = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1}
SIZES |= {"num_attention_heads": 2, "intermediate_size": 20}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "cuts", "well", "broke"]
TEXTS = ["it cuts well", "", "it broke", "it cuts"]


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).randint(255, size=(6, 40, 40, 3)).astype(np.uint8)


def features(module, X, roundtrip, assert_same, **params):
    extractor = DeepFeatureExtractor(module, engine="eager", random_state=0, **params).fit(X)
    loaded = roundtrip(extractor)
    assert_same(extractor, loaded, X)
    return extractor, loaded


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_networks_of_torchvision(name, images, roundtrip, assert_same):
    pytest.importorskip("torchvision")
    _, loaded = features(f"torchvision/{name}", images, roundtrip, assert_same, weights=None)
    assert loaded.preprocess_ is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["swin_v2_t", "vit_b_32", "efficientnet_b0", "inception_v3", "densenet121", "alexnet"]
)
def test_more_networks_of_torchvision(name, images, roundtrip, assert_same):
    pytest.importorskip("torchvision")
    features(f"torchvision/{name}", images, roundtrip, assert_same, weights=None)


@pytest.mark.parametrize("name", ["resnet10t"])
def test_networks_of_timm(name, images, roundtrip, assert_same):
    pytest.importorskip("timm")
    features(f"timm/{name}", images, roundtrip, assert_same, weights=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("vit_tiny_patch16_224", "convnext_atto", "mobilenetv2_100", "efficientnet_lite0"),
        *("resnest14d", "swin_tiny_patch4_window7_224"),
    ],
)
def test_more_networks_of_timm(name, images, roundtrip, assert_same):
    pytest.importorskip("timm")
    features(f"timm/{name}", images, roundtrip, assert_same, weights=None)


def test_an_adapted_network_of_torchvision(images, roundtrip, assert_same):
    pytest.importorskip("torchvision")
    params = {"weights": None, "preprocess": {"size": 32}, "max_epochs": 1, "random_state": 0}
    clf = DANNClassifier(module="torchvision/resnet18", batch_size=4, **params)
    clf.fit(images, [0, 1] * 3, X_target=images)
    assert_same(clf, roundtrip(clf), images)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_vision_networks_of_transformers(kind, images, roundtrip, assert_same):
    transformers = pytest.importorskip("transformers")
    if kind == "vit":
        config = transformers.ViTConfig(num_labels=5, **SIZES)
        network = transformers.ViTForImageClassification(config)
    else:
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
        network = transformers.ResNetModel(config)
    features(network, images[:, :32, :32], roundtrip, assert_same)


@pytest.mark.parametrize("family", ["transformers", "sentence-transformers"])
def test_networks_of_texts_with_their_tokenizer(family, tmp_path, roundtrip, assert_same):
    transformers = pytest.importorskip("transformers")
    sizes = {k: v for k, v in SIZES.items() if k not in ("image_size", "patch_size")}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)
    folder = str(tmp_path / "bert")
    transformers.BertModel(config).save_pretrained(folder)
    vocab = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)
    if family == "sentence-transformers":
        st = pytest.importorskip("sentence_transformers")
        modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
        parts = [modules.Transformer(folder), modules.Pooling(16, "cls"), modules.Normalize()]
        folder = str(tmp_path / "sentences")
        st.SentenceTransformer(modules=parts, device="cpu").save_pretrained(folder)
    features(f"{family}/{folder}", TEXTS, roundtrip, assert_same)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 4, num_layers=2, bidirectional=True)

    def forward(self, X):
        return self.lstm(X.permute(2, 0, 1))[0][-1]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.full((6,), 2.0), persistent=False)
        self.fixed = nn.Parameter(torch.ones(6, dtype=torch.float64), requires_grad=False)

    def forward(self, X):
        return self.second(self.first(X)) * self.scale * self.fixed.float()


def test_recurrent_networks(roundtrip, assert_same):
    X = np.random.RandomState(0).standard_normal((5, 2, 30)).astype(np.float32)
    _, loaded = features(Recurrent(), X, lambda e: roundtrip(e, trusted=[Recurrent]), assert_same)
    assert loaded.module_.lstm._flat_weights[0] is loaded.module_.lstm.weight_ih_l0
    loaded.module_.lstm.to(torch.float64)


def test_tied_weights_stay_tied_and_buffers_stay(roundtrip, assert_same):
    X = np.random.RandomState(0).standard_normal((5, 6))
    _, loaded = features(Tied(), X, lambda e: roundtrip(e, trusted=[Tied]), assert_same)
    module = loaded.module_
    assert module.first.weight is module.second.weight
    assert "scale" not in module.state_dict() and not module.fixed.requires_grad


def test_functions_and_classes_of_torch_in_a_network(roundtrip):
    module = nn.Sequential(nn.Linear(3, 3))
    module.activation, module.other, module.layer = nn.functional.gelu, torch.tanh, nn.GELU
    loaded = roundtrip(DeepFeatureExtractor(module)).module
    assert loaded.activation is nn.functional.gelu and loaded.other is torch.tanh
    assert loaded.layer is nn.GELU


def test_a_compiled_network_comes_back_without_its_code(few, roundtrip, assert_same):
    torch.compiler.reset()
    clf = FineTuneClassifier(
        max_epochs=1, random_state=0, compile=True, compile__backend="eager"
    ).fit(few["X"], few["y"])
    assert_same(clf, roundtrip(clf), few["X_target"])


def test_new_hooks_do_not_take_the_place_of_loaded_ones(few, roundtrip, monkeypatch):
    clf = FineTuneClassifier(max_epochs=1, random_state=0).fit(few["X"], few["y"])
    store = []
    hooked = clf.net_.module_.head
    hooked.register_forward_hook(print)
    (number,) = hooked._forward_hooks
    monkeypatch.setattr(RemovableHandle, "next_id", 0)  # as in a new process
    head = roundtrip(clf).net_.module_.head
    assert RemovableHandle.next_id > number
    for _ in range(number + 1):
        head.register_forward_hook(store.append)
    assert head._forward_hooks[number] is print
