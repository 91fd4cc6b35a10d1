"""Jittered versions of images."""

import pytest
import torch

from skda.feature_extraction._versions import image_versions

IMAGES = torch.rand(2, 3, 20, 26, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("augment", "number"), [("none", 1), ("flip", 2), ("five_crop", 5), ("sixteen", 16)]
)
def test_number_and_shape(augment, number):
    versions = list(image_versions(IMAGES, augment))
    assert len(versions) == number
    assert all(version.shape == IMAGES.shape for version in versions)
    assert len({version.sum().item() for version in versions}) >= number // 2


def test_none_is_the_image():
    assert next(image_versions(IMAGES, "none")) is IMAGES


def test_flip_mirrors_left_and_right():
    _, mirrored = image_versions(IMAGES, "flip")
    assert torch.equal(mirrored, IMAGES[..., torch.arange(25, -1, -1)])


def test_crops_show_four_ninths_of_the_area():
    """Corners and centre of a picture whose pixels hold their own positions."""
    row, column = torch.meshgrid(torch.arange(60.0), torch.arange(90.0), indexing="ij")
    crops = list(image_versions(torch.stack([row, column])[None], "five_crop"))
    corners = [(0, 0), (0, 30), (20, 0), (20, 30), (10, 15)]
    for crop, (top, left) in zip(crops, corners, strict=True):
        assert crop[0, 0].min() == top and crop[0, 0].max() == top + 39
        assert crop[0, 1].min() == left and crop[0, 1].max() == left + 59


def test_rotations_turn_both_ways_about_the_centre():
    image = torch.zeros(1, 1, 41, 61)
    image[..., 19:22, 15:46] = 1
    versions = list(image_versions(image, "sixteen"))
    one, other = versions[12], versions[14]
    for rotated in (one, other):
        assert rotated[0, 0, 20, 30] > 0.9
        torch.testing.assert_close(rotated.sum(), image.sum(), rtol=0.05, atol=0)
    assert one[0, 0, :17, :30].sum() < 0.5 and other[0, 0, :17, :30].sum() > 5
    torch.testing.assert_close(one.flip(3), other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("augment", ["flip", "sixteen"])
def test_mirror_image_has_the_same_versions(augment):
    mean, mirrored = (
        torch.stack([v.pow(2) for v in image_versions(x, augment)]).mean(dim=0)
        for x in (IMAGES, IMAGES.flip(3))
    )
    torch.testing.assert_close(mean, mirrored, rtol=0, atol=1e-5)
