"""Jittered versions of images, whose features are averaged."""

import math

import torch.nn.functional as F

N_VERSIONS = {"none": 1, "flip": 2, "five_crop": 5, "sixteen": 16}
AUGMENTATIONS = tuple(N_VERSIONS)

_ANGLE = math.radians(15)  # the paper rotates, but does not say how far


def image_versions(images, augment):
    """Yield the versions of a batch of images one after the other.

    Parameters
    ----------
    images : torch.Tensor of shape (n, n_channels, height, width)
        Inputs of a network.

    augment : {"none", "flip", "five_crop", "sixteen"}
        The images alone; with their mirror images; four corners and the centre, each of 4/9 of
        the area and resized to all of it; or the 16 of Razavian et al. (2014): image, five
        crops and two rotations, with their mirror images.

    Yields
    ------
    version : torch.Tensor of shape (n, n_channels, height, width)
        A version of every image.

    Examples
    --------
    >>> import torch
    >>> from skda.feature_extraction._versions import image_versions
    >>> len(list(image_versions(torch.zeros(2, 3, 12, 12), "sixteen")))
    16
    """
    if augment in ("none", "flip"):
        unmirrored = iter((images,))
    elif augment == "five_crop":
        unmirrored = _five_crops(images)
    else:
        unmirrored = _eight_views(images)
    for version in unmirrored:
        yield version
        if augment in ("flip", "sixteen"):
            yield version.flip(3)


def _eight_views(images):
    yield images
    yield from _five_crops(images)
    yield _rotate(images, _ANGLE)
    yield _rotate(images, -_ANGLE)


def _five_crops(images):
    height, width = images.shape[2:]
    # Margins of the centre crop: a sixth of a side, the same on both sides.
    above, left = round(height / 6), round(width / 6)
    for top, start in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1)):
        crop = images[:, :, top * above :, start * left :]
        crop = crop[:, :, : height - 2 * above, : width - 2 * left]
        yield F.interpolate(crop, size=(height, width), mode="bilinear")


def _rotate(images, angle):
    height, width = images.shape[2:]
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = images.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    # The grid of one image for all: exporters take the size of a batch here for a constant.
    grid = F.affine_grid(matrix[None], [1, *images.shape[1:]], align_corners=False)
    grid = grid.expand(images.shape[0], -1, -1, -1)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
