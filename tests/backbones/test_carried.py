"""What an instance carries is used: one network, however it is given, has the same features."""

from functools import partial

import numpy as np
import pytest
import torch
from devices import on_cpu
from torch import nn

from skda.adaptation import DeepCORALClassifier
from skda.backbones import BackboneResolver
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.images import ImagePreprocess

TINY = "test_resnet"  # of timm, 0.5 million parameters


def features(images, module, **params):
    extractor = DeepFeatureExtractor(module, engine="eager", precision="float32", **params)
    return extractor.fit_transform(images)


def started(module, weights="pretrained", keep=(), **keywords):
    resolver = BackboneResolver(module, weights, keywords, keep=keep)
    resolver.start()
    return resolver


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.fixture
def models():
    return pytest.importorskip("torchvision.models")


def timm_forms(timm, name, state, **keywords):
    """Return a network of timm by name, as instances with and without head, and by functions."""
    with_head = timm.create_model(name, **keywords)
    with_head.load_state_dict(state)
    headless = timm.create_model(name, num_classes=0, **keywords)
    headless.load_state_dict({key: state[key] for key in headless.state_dict()})
    prefixed = {f"module__{key}": value for key, value in keywords.items()}
    return {
        "name": dict(module=f"timm/{name}", weights=state, **prefixed),
        "head": dict(module=with_head),
        "headless": dict(module=headless),
        "loaded": dict(module=timm.create_model(name, **keywords), weights=state),
        "compiled": dict(module=torch.compile(with_head)),
        "parallel": dict(module=nn.DataParallel(with_head)),
        "partial": dict(module=partial(timm.create_model, name, **keywords), weights=state),
        "own function": dict(module=lambda: with_head),
    }


def test_timm_network_has_the_same_features_in_every_form(timm, pictures):
    forms = timm_forms(timm, TINY, timm.create_model(TINY).state_dict())
    expected = features(pictures, **forms.pop("name"))
    assert expected.std() > 0
    for name, form in forms.items():
        np.testing.assert_array_equal(features(pictures, **form), expected, err_msg=name)


def test_pretrained_network_has_the_same_features_in_every_form(timm, data_home):
    read = pytest.importorskip("safetensors.torch").load_file
    state = read(data_home / "weights" / "mobilenetv2_100_imagenet_timm.safetensors")
    photos = sorted((data_home / "weights" / "photos").iterdir())
    forms = timm_forms(timm, "mobilenetv2_100", state, pad_type="same", bn_eps=1e-3)
    expected = features(photos, **forms["name"])
    for name in ("head", "headless", "partial"):
        np.testing.assert_array_equal(features(photos, **forms[name]), expected, err_msg=name)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1"])
def test_torchvision_network_has_the_same_features_in_every_form(models, name, pictures):
    torch.manual_seed(0)
    network = models.get_model(name)
    state = network.state_dict()
    expected = features(pictures[:2], f"torchvision/{name}", weights=state)
    assert expected.shape[1] < 1000 or name == "mobilenet_v2"
    forms = {"head": dict(module=network)}
    forms["function"] = dict(module=models.get_model_builder(name), weights=state)
    forms["loaded"] = dict(module=models.get_model(name), weights=state)
    if name == "resnet18":
        headless = models.get_model(name)
        headless.load_state_dict(state)
        headless.fc = nn.Identity()
        forms["headless"] = dict(module=headless)
    for form, params in forms.items():
        actual = features(pictures[:2], **params)
        np.testing.assert_array_equal(actual, expected, err_msg=form)


def test_random_weights_are_those_of_the_name(timm, pictures):
    by_name, by_function = (
        features(pictures, module, weights=weights, random_state=0)
        for module, weights in [
            (f"timm/{TINY}", None),
            (partial(timm.create_model, TINY), "pretrained"),
        ]
    )
    np.testing.assert_array_equal(by_name, by_function)


def test_classifier_is_taken_off_a_copy_and_a_note_says_so(timm):
    network = timm.create_model(TINY)
    resolver = started(network)
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, network.num_features)
    assert resolver.notes == [
        "module: the classifier 'fc' (1000 classes) of ResNet of timm was taken off; name it in "
        "layers to keep it."
    ]
    assert network.fc.out_features == 1000


def test_named_classifier_is_kept(timm, pictures):
    network = timm.create_model(TINY).eval()
    logits = features(pictures, network, layers="fc")
    inputs = torch.stack([started(network).preprocess(picture) for picture in pictures])
    with torch.no_grad():
        np.testing.assert_allclose(logits, network(inputs).numpy(), rtol=1e-3, atol=1e-5)
    by_name = features(pictures, f"timm/{TINY}", weights=network.state_dict(), layers="fc")
    np.testing.assert_array_equal(by_name, logits)


def test_kept_classifier_and_features_would_be_the_same(timm, pictures):
    with pytest.raises(ValueError, match=r"layers: 'fc' is the classifier .* 'features'"):
        features(pictures, timm.create_model(TINY), layers=("features", "fc"))


def test_classifier_that_a_list_of_alignments_names_is_no_layer(timm, pictures):
    clf = DeepAdaptationClassifier(
        module=f"timm/{TINY}", weights=None, alignment=[("coral", ("fc",), 1.0)], max_epochs=1
    )
    with pytest.raises(ValueError, match="layers: 'fc' is the classifier of the network"):
        clf.fit(pictures, [0, 1, 0, 1, 0, 1], X_target=pictures)


def test_other_last_layer_of_a_library_is_kept_and_a_note_says_so(models):
    network = models.resnet18()
    network.fc = nn.Linear(512, 20)
    resolver = started(network)
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, 20)
    assert "the last layer 'fc' of ResNet of torchvision was kept" in resolver.notes[-1]


def test_classifier_that_a_function_was_asked_for_is_taken_off(models):
    resolver = started(partial(models.resnet18, num_classes=20))
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, 512)


def test_replaced_classifier_of_timm_is_kept(timm):
    network = timm.create_model(TINY)
    network.fc = nn.Linear(network.num_features, 20)
    resolver = started(network)
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, 20)
    assert "20 outputs may be features" in resolver.notes[-1]


class Own(nn.Module):
    """A user's class around a network of timm."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)


@pytest.mark.parametrize("wrap", [Own, nn.Sequential])
def test_own_modules_keep_all_their_layers(timm, wrap):
    resolver = started(wrap(timm.create_model(TINY)))
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)
    assert (resolver.preprocess is not None) == (wrap is nn.Sequential)


def test_linear_layer_of_a_table_is_features():
    resolver = started(nn.Sequential(nn.Flatten(), nn.Linear(4, 1000)))
    assert resolver.build((4,))(torch.zeros(2, 4)).shape == (2, 1000)
    assert resolver.notes == [] and resolver.n_channels is None


def test_pooling_of_the_user_stays(timm):
    network = timm.create_model(TINY, global_pool="max").eval()
    resolver = started(network)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(x), pre_logits=True)
        assert torch.equal(resolver.build((3, 32, 32)).eval()(x), expected)


def test_preprocess_of_an_instance_is_that_of_its_configuration(timm):
    own = started(timm.create_model(TINY)).preprocess
    config = timm.data.resolve_data_config({}, model=timm.create_model(TINY))
    assert own.size == config["input_size"][1:] and own.mean == config["mean"]
    assert own.interpolation == config["interpolation"] and own.crop_pct == config["crop_pct"]


def test_given_preprocess_comes_before_that_of_the_instance(timm, pictures):
    extractor = DeepFeatureExtractor(timm.create_model(TINY), preprocess=dict(size=48, mean=0.5))
    assert extractor.fit(pictures).input_shape_ == (3, 48, 48)
    assert extractor.preprocess_.crop_pct == started(timm.create_model(TINY)).preprocess.crop_pct


def test_size_that_a_transformer_was_built_for(timm, pictures):
    extractor = DeepFeatureExtractor("timm/test_vit", weights=None, module__img_size=64)
    assert extractor.fit(pictures).input_shape_ == (3, 64, 64)


def test_crop_outside_of_the_picture_is_left_to_timm(timm, pictures):
    network = timm.create_model(TINY, pretrained_cfg_overlay=dict(crop_pct=1.15))
    assert features(pictures, network).shape == (6, network.num_features)


def test_unknown_weights_of_torchvision_get_the_default_and_a_note(models):
    with torch.device("meta"):
        network = models.resnet50()
    resolver = started(network)
    assert resolver.preprocess.crop_pct == 224 / 232
    assert "ResNet50_Weights.IMAGENET1K_V1 differs" in resolver.notes[0]
    with torch.device("meta"):
        unambiguous = started(models.resnet18())
    assert unambiguous.preprocess == ImagePreprocess() and unambiguous.notes == []


def test_size_tells_weights_of_torchvision_apart(models):
    with torch.device("meta"):
        network = models.vit_b_16(image_size=384)
    assert started(network).preprocess.size == (384, 384)


def test_changed_architecture_gets_what_is_usual(models):
    network = models.resnet18()
    network.layer4 = nn.Identity()
    resolver = started(network)
    assert resolver.preprocess == ImagePreprocess()
    assert "none of torchvision's architectures" in resolver.notes[0]


@pytest.mark.parametrize("how", ["entry", "name", "full name"])
@pytest.mark.parametrize("what", ["name", "instance"])
def test_entry_of_the_weights_of_torchvision(models, monkeypatch, how, what, pictures):
    entry = models.ResNet50_Weights.IMAGENET1K_V1
    torch.manual_seed(0)
    state = models.resnet50().state_dict()
    monkeypatch.setattr(type(entry), "get_state_dict", lambda self, **keywords: state)
    weights = {"entry": entry, "name": "IMAGENET1K_V1", "full name": str(entry)}[how]
    module = "torchvision/resnet50" if what == "name" else models.resnet50()
    extractor = DeepFeatureExtractor(module, weights=weights).fit(pictures[:1])
    assert torch.equal(on_cpu(extractor.module_.conv1.weight), state["conv1.weight"])
    assert (
        extractor.preprocess_.crop_pct == 224 / 256 and extractor.layer_sizes_["features"] == 2048
    )


@pytest.mark.parametrize("weights", ["IMAGENET1K_V7", "ResNet50_Weights.DEFAULT", "entry"])
@pytest.mark.parametrize("what", ["name", "instance"])
def test_weights_that_torchvision_does_not_have(models, weights, what):
    weights = models.ResNet50_Weights.DEFAULT if weights == "entry" else weights
    module = "torchvision/resnet18" if what == "name" else models.resnet18()
    with pytest.raises(ValueError, match=r"weights: .*ResNet18_Weights\.IMAGENET1K_V1"):
        started(module, weights)


def test_function_that_gives_random_weights_is_named(models):
    assert "gives random weights" in started(models.resnet18).notes[0]
    asked = BackboneResolver(models.resnet18, "pretrained", {"weights": "DEFAULT"})
    assert asked.has_weights and not BackboneResolver(models.resnet18, "pretrained", {}).has_weights


def test_own_function_is_called_once(timm, pictures):
    calls = []

    def make():
        calls.append(1)
        return timm.create_model(TINY)

    assert features(pictures, make).shape == (6, timm.create_model(TINY).num_features)
    assert len(calls) == 1


def test_instance_fine_tunes_at_its_own_size(timm, pictures):
    clf = DeepCORALClassifier(module=timm.create_model(TINY), max_epochs=1, batch_size=2)
    clf.fit(pictures, [0, 1, 0, 1, 0, 1], X_target=pictures)
    assert clf.input_shape_ == (3, 160, 160)
    assert clf.net_.module_.head.in_features == timm.create_model(TINY).num_features
