"""Networks with real weights on real pictures."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from skda.fine_tuning import FineTuneClassifier, transferability_curve
from skda.training import list_blocks

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class Residual(nn.Module):
    """A block of a CIFAR ResNet; where the shape changes the shortcut has no parameters."""

    def __init__(self, in_channels, channels):
        super().__init__()
        self.widened = channels - in_channels
        stride = 2 if self.widened else 1
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.widened:
            pad = self.widened // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return torch.relu(x + y)


class ResNet20(nn.Module):
    """The CIFAR ResNet with 20 layers, up to the pooled features."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for number, (before, width) in enumerate(pairwise(widths), start=1):
            stage = [Residual(before, width), Residual(width, width), Residual(width, width)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def resnet20(data_home):
    """Trained on CIFAR-10, without the classifier."""
    read = pytest.importorskip("safetensors.torch").load_file
    state = read(data_home / "weights" / "resnet20_cifar10.safetensors")
    network = ResNet20()
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("linear")})
    return network


@pytest.fixture(scope="module")
def cifar(data_home):
    """100 pictures of CIFAR-10."""
    with np.load(data_home / "weights" / "cifar10_train_tiny_100.npz") as data:
        x = (data["x"].astype(np.float32) / 255 - MEAN) / STD
        return np.ascontiguousarray(np.moveaxis(x, 3, 1)), data["y"]


@pytest.mark.slow
def test_linear_probe_of_the_trained_network_recovers_its_task(resnet20, cifar):
    X, y = cifar
    clf = FineTuneClassifier(module=resnet20, freeze="all", max_epochs=30, batch_size=16)
    assert clf.fit(X[:70], y[:70]).score(X[70:], y[70:]) > 0.8


@pytest.mark.slow
def test_trained_blocks_transfer_and_random_ones_do_not(resnet20, cifar):
    assert len(list_blocks(resnet20)) == 10
    curve = transferability_curve(
        FineTuneClassifier(module=resnet20, max_epochs=10, batch_size=16, lr=0.005),
        None,
        None,
        *cifar,
        n_layers=[10],
        treatments=["AnB", "random"],
        test_size=0.3,
        n_repeats=1,
        random_state=0,
    )
    base, trained, random = curve.score
    assert trained > base + 0.2 and trained > random + 0.2
