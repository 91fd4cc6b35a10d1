"""How pictures are read: the options and their validation."""

import pickle

import numpy as np
import pytest

from skda.images import ImageReading, resolve_reading


def test_nothing_is_the_default():
    assert resolve_reading(None) == ImageReading()
    assert resolve_reading(None, 1) == ImageReading(n_channels=1)


def test_entries_of_the_dict():
    reading = resolve_reading(dict(background=[1, 2, 3], frame=np.int64(2)), 1)
    assert reading == ImageReading(background=(1, 2, 3), frame=2, n_channels=1)
    assert resolve_reading(dict(n_channels=3), 1).n_channels == 3


def test_can_be_pickled_and_hashed():
    reading = ImageReading(value_range=[0, 4095.0])
    assert pickle.loads(pickle.dumps(reading)) == reading and hash(reading)


@pytest.mark.parametrize(
    "entry",
    [
        dict(exif_orientation="yes"),
        dict(background=256),
        dict(background=-1),
        dict(background=0.5),
        dict(background=(1, 2)),
        dict(background="white"),
        dict(frame=-1),
        dict(frame=True),
        dict(frame=1.0),
        dict(value_range=(0, float("nan"))),
        dict(value_range=(3, 3)),
        dict(value_range=4095),
        dict(value_range=(0, 1, 2)),
        dict(n_channels=4),
    ],
    ids=str,
)
def test_bad_value(entry):
    with pytest.raises(ValueError, match=f"image_reading: {next(iter(entry))} must be"):
        resolve_reading(entry)


def test_unknown_entry():
    with pytest.raises(ValueError, match="image_reading has no entry 'page'; the entries are exif"):
        resolve_reading(dict(page=1))


def test_no_dict():
    with pytest.raises(ValueError, match="image_reading must be None or a dict"):
        resolve_reading("grey")
