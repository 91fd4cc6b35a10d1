"""Vision networks of transformers, from folders and as instances."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.backbones import BackboneResolver
from skda.backbones._vision_transformers import ProcessorPreprocess, VisionTransformersLibrary
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.images import ImagePreprocess

transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")

SIZES = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    image_size=32,
    patch_size=8,
)


def vit(**config):
    torch.manual_seed(0)
    config = transformers.ViTConfig(num_labels=5, **SIZES, **config)
    return transformers.ViTForImageClassification(config).eval()


def resnet():
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5
    )
    return transformers.ResNetForImageClassification(config).eval()


@pytest.fixture
def save(tmp_path):
    """Write a network with the processor of 32 pixels beside it."""

    def save(network, processor=None):
        network.save_pretrained(tmp_path / "tiny")
        processor = processor or transformers.ViTImageProcessor(size={"height": 32, "width": 32})
        processor.save_pretrained(tmp_path / "tiny")
        return str(tmp_path / "tiny")

    return save


def started(module, weights="pretrained", keep=(), **keywords):
    resolver = BackboneResolver(module, weights, keywords, keep=keep)
    resolver.start()
    return resolver


def features(images, module, **params):
    extractor = DeepFeatureExtractor(module, engine="eager", precision="float32", **params)
    return extractor.fit_transform(images)


@pytest.mark.parametrize("make", [vit, resnet])
def test_network_has_the_same_features_in_every_form(make, save, pictures):
    network = make()
    folder = save(network)
    kind = type(network)
    expected = features(pictures, folder)
    assert expected.shape == (6, 16) and expected.std() > 0
    forms = {
        "library": (f"transformers/{folder}", {}),
        "instance": (kind.from_pretrained(folder), {}),
        "function": (lambda: kind.from_pretrained(folder), {}),
        "weights": (folder, {"weights": network.state_dict()}),
    }
    for name, (module, params) in forms.items():
        np.testing.assert_array_equal(features(pictures, module, **params), expected, err_msg=name)


def test_features_are_what_the_classifier_gets(save, pictures):
    network = vit()
    resolver = started(save(network))
    inputs = torch.stack([resolver.preprocess(picture) for picture in pictures])
    with torch.no_grad():
        expected = network.vit(inputs).last_hidden_state[:, 0]
        actual = resolver.build((3, 32, 32)).eval()(inputs)
    torch.testing.assert_close(actual, expected)


def test_named_classifier_is_kept(save, pictures):
    assert features(pictures, save(vit()), layers="classifier").shape == (6, 5)


def test_replaced_classifier_is_kept(save):
    network = vit()
    network.classifier = nn.Linear(16, 7)
    resolver = started(network)
    assert resolver.build((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert "7 outputs may be features" in resolver.notes[-1]


def test_base_network_gives_its_pooled_output(save):
    torch.manual_seed(0)
    network = transformers.ViTModel(transformers.ViTConfig(**SIZES)).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        actual = started(save(network)).build((3, 32, 32)).eval()(x)
        torch.testing.assert_close(actual, network(x).pooler_output)


def test_part_without_weights_is_an_error(save):
    network = transformers.ViTModel(transformers.ViTConfig(**SIZES), add_pooling_layer=False)
    with pytest.raises(ValueError, match=r"has none for 'pooler\.dense\.bias'"):
        started(save(network))


def test_vision_half_of_a_pair(save, pictures):
    text = dict(SIZES, vocab_size=10, bos_token_id=0, eos_token_id=1, pad_token_id=1)
    config = transformers.CLIPConfig(vision_config=SIZES, text_config=text)
    network = transformers.CLIPModel(config).eval()
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    resolver = started(save(network, processor))
    x = resolver.preprocess(pictures[0])[None]
    with torch.no_grad():
        expected = network.vision_model(x).pooler_output
        torch.testing.assert_close(resolver.build((3, 32, 32)).eval()(x), expected)


def test_half_precision_becomes_single(save):
    module = started(save(vit().half())).build((3, 32, 32))
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_grey_network(save, pictures):
    resolver = started(vit(num_channels=1))
    assert resolver.n_channels == 1


def test_network_without_a_processor_is_noted():
    resolver = started(vit())
    assert resolver.preprocess is None
    assert "came without an image processor" in resolver.notes[0] and "32" in resolver.notes[0]


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (transformers.ViTImageProcessor(), dict(crop_pct=1.0, crop_mode="squash")),
        (transformers.DeiTImageProcessor(), dict(crop_pct=0.875, crop_mode="squash")),
        (transformers.CLIPImageProcessor(), dict(crop_pct=1.0, crop_mode="center")),
        (
            transformers.ConvNextImageProcessor(size={"shortest_edge": 224}),
            dict(crop_pct=0.875, crop_mode="center"),
        ),
        (transformers.ConvNextImageProcessor(), dict(size=(384, 384), crop_mode="squash")),
        (transformers.BitImageProcessor(size={"shortest_edge": 256}), dict(crop_pct=0.875)),
        (transformers.ViTImageProcessor(do_normalize=False), dict(mean=0.0, std=1.0)),
        (transformers.LevitImageProcessor(), None),
        (transformers.ViTImageProcessor(do_resize=False), None),
        (transformers.BitImageProcessor(do_center_crop=False), None),
    ],
    ids=lambda value: type(value).__name__ if value else "",
)
def test_same_pixels_as_the_processor(processor, expected, save, pictures):
    folder = save(vit(), processor)
    network = transformers.ViTForImageClassification.from_pretrained(folder)
    own = VisionTransformersLibrary().preprocess(network, None, [])
    assert isinstance(own, ProcessorPreprocess if expected is None else ImagePreprocess)
    for name, value in (expected or {}).items():
        assert getattr(own, name) == value
    for picture in pictures[:3]:
        theirs = processor(images=picture, return_tensors="pt")["pixel_values"][0]
        # They round to whole pixels in another place: one of 255 steps, over the deviation.
        torch.testing.assert_close(own(picture), theirs, rtol=0, atol=2.5 / 255 / 0.22)


def test_trains_and_predicts(save, pictures):
    clf = FineTuneClassifier(module=save(vit()), max_epochs=1, batch_size=2)
    clf.fit(pictures, [0, 1, 0, 1, 0, 1])
    assert clf.transform(pictures).shape == (6, 16) and clf.input_shape_ == (3, 32, 32)


def test_keywords_change_the_configuration(save):
    assert len(started(save(vit()), None, num_hidden_layers=3).build(()).vit.layers) == 3
    with pytest.raises(TypeError, match="module__depth"):
        started(save(vit()), None, depth=3)


def test_a_network_that_takes_neither_images_nor_texts(tmp_path):
    transformers.Wav2Vec2Config(hidden_size=16).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"takes no images \('wav2vec2'\)"):
        started(f"transformers/{tmp_path}")
