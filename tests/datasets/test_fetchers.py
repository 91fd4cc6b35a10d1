"""Data sets of two domains, read from the data folder."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file, load_digits
from sklearn.neighbors import KNeighborsClassifier

from skda.datasets import (
    _fetch_reviews,
    fetch_amazon_reviews,
    fetch_digits,
    fetch_mnist_m,
    fetch_office31,
    fetch_office_caltech10,
    fetch_office_home,
    fetch_pacs,
    load_image_domains,
)

FETCHERS = [
    fetch_amazon_reviews,
    fetch_digits,
    fetch_office31,
    fetch_office_caltech10,
    fetch_office_home,
    fetch_pacs,
]


@pytest.mark.parametrize("fetch", FETCHERS)
def test_domains_are_checked(fetch, tmp_path):
    with pytest.raises(ValueError, match=r"source must be one of .*, got 'nowhere'"):
        fetch("nowhere", data_home=tmp_path)
    with pytest.raises(ValueError, match=r"target must be one of .*, got None"):
        fetch(target=None, data_home=tmp_path)
    domain = fetch.__defaults__[0]
    with pytest.raises(ValueError, match="different domains"):
        fetch(domain, domain, data_home=tmp_path)


@pytest.mark.parametrize("fetch", [*FETCHERS, fetch_mnist_m])
def test_what_is_missing_is_said(fetch, tmp_path):
    options = (
        {} if "download_if_missing" not in fetch.__kwdefaults__ else {"download_if_missing": 0}
    )
    with pytest.raises(OSError, match=r"is missing.*SKDA_DATA") as caught:
        fetch(data_home=tmp_path, **options)
    assert str(tmp_path) in str(caught.value)


def test_digits(data_home):
    pytest.importorskip("h5py")
    digits = fetch_digits("usps", "optdigits", size=16, data_home=data_home)
    assert digits.X.shape == (7291, 1, 16, 16) and digits.X_target.shape == (5620, 1, 16, 16)
    assert digits.X.dtype == np.float32 and digits.y.dtype == np.int64
    assert digits.X.min() >= 0 and digits.X.max() <= 1 and "USPS" in digits.DESCR.upper()
    known = load_digits()
    X, y, X_target, y_target = fetch_digits(
        "mnist", "optdigits", size=8, data_home=data_home, return_X_y=True
    )
    assert X.shape == (10000, 1, 8, 8) and np.bincount(y).tolist()[:3] == [980, 1135, 1032]
    assert np.array_equal(X_target[-1797:, 0] * 16, known.images)
    assert np.array_equal(y_target[-1797:], known.target)
    with pytest.raises(ValueError, match="size must be a number of pixels, got 0"):
        fetch_digits(size=0)


def test_mnist_m(data_home):
    digits = fetch_mnist_m(data_home=data_home)
    assert digits.X.shape == (4000, 32, 32, 3) and digits.X_target.shape == (2500, 32, 32, 3)
    assert digits.X.dtype == digits.X_target.dtype == np.uint8
    assert not digits.X[:, :2].any() and np.ptp(digits.X.astype(int), axis=3).max() == 0
    mnist = fetch_digits("mnist", "optdigits", data_home=data_home)
    assert np.array_equal(digits.y, mnist.y[:4000])
    assert np.array_equal(digits.y_target, mnist.y[4000:6500])


@pytest.mark.parametrize("features, n_columns", [("surf", 800), ("mobilenetv2", 1280)])
def test_office_caltech10(data_home, features, n_columns):
    office = fetch_office_caltech10("dslr", "webcam", features=features, data_home=data_home)
    assert office.X.shape == (157, n_columns) and office.X_target.shape == (295, n_columns)
    assert len(office.target_names) == 10 and set(office.y) == set(range(10))
    nearest = KNeighborsClassifier(1).fit(office.X, office.y)
    # 63.39 published for histograms (M. Long et al. ICCV 2013); labels of both are in one order.
    assert nearest.score(office.X_target, office.y_target) > 0.62
    if features == "surf":
        assert nearest.score(office.X_target, office.y_target) == pytest.approx(0.6339, abs=1e-4)


def test_office_caltech10_images(data_home):
    pytest.importorskip("PIL")
    office = fetch_office_caltech10("dslr", "webcam", features="images", data_home=data_home)
    assert office.X.shape == (157, 128, 128, 3) and office.X.dtype == np.uint8
    other = fetch_office_caltech10("dslr", "webcam", data_home=data_home)
    assert np.array_equal(office.y, other.y) and np.array_equal(office.y_target, other.y_target)
    with pytest.raises(ValueError, match="features must be one of surf, mobilenetv2, images"):
        fetch_office_caltech10(features="decaf", data_home=data_home)


def test_amazon_reviews(data_home):
    reviews = fetch_amazon_reviews("books", "dvd", data_home=data_home)
    assert reviews.X.shape == reviews.X_target.shape == (2000, 5000)
    assert reviews.X_test.shape == (3586, 5000) and set(reviews.y_test) == {-1, 1}
    assert len(fetch_amazon_reviews(data_home=data_home, return_X_y=True)) == 4


def test_amazon_reviews_as_they_were_published(data_home, tmp_path, monkeypatch):
    packed = fetch_amazon_reviews("books", "dvd", data_home=data_home)
    (tmp_path / "amazon_reviews").mkdir()
    for name, X, y in (
        ("books_train", packed.X, packed.y),
        ("dvd_train", packed.X_target, packed.y_target),
        ("dvd_test", packed.X_test, packed.y_test),
    ):
        path = tmp_path / "amazon_reviews" / f"{name}.svmlight"
        dump_svmlight_file(X, y, str(path), zero_based=False)
        # Written by us, they have the content but not the bytes of the originals.
        part = _fetch_reviews.PARTS[name]
        object_with_any_content = type(part)(part.path, "", part.url, part.origin)
        monkeypatch.setitem(_fetch_reviews.PARTS, name, object_with_any_content)
    parts = fetch_amazon_reviews("books", "dvd", data_home=tmp_path)
    for key in ("X", "X_target", "X_test"):
        assert (parts[key] != packed[key]).nnz == 0
    assert np.array_equal(parts.y_test, packed.y_test)


# -- folders ----------------------------------------------------------------------------------


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_image_domains(tmp_path):
    _touch(tmp_path, "a/pen/2.JPG", "a/pen/1.png", "a/cup/1.jpg", "a/cup/notes.txt", "a/readme.jpg")
    _touch(tmp_path, "b/images/pen/7.jpg", "b/images/cow/1.jpg")
    pictures = load_image_domains(tmp_path, "a", "b")
    assert [Path(path).name for path in pictures.X] == ["1.jpg", "1.png", "2.JPG"]
    assert pictures.y.tolist() == ["cup", "pen", "pen"] and pictures.y_target.tolist() == ["pen"]
    assert pictures.target_names == ["cup", "pen"]
    some = load_image_domains(tmp_path, "a", "b", classes=["pen", "cow"])
    assert some.y.tolist() == ["pen", "pen"] and some.y_target.tolist() == ["cow", "pen"]
    assert len(load_image_domains(tmp_path, "a", "b", return_X_y=True)) == 4


def test_image_domains_that_are_wrong(tmp_path):
    _touch(tmp_path, "a/pen/1.jpg", "b/cow/1.jpg")
    with pytest.raises(OSError, match=r"target='c': there is no folder .*'a', 'b'"):
        load_image_domains(tmp_path, "a", "c")
    with pytest.raises(OSError, match="no domain"):
        load_image_domains(tmp_path / "nothing", "a", "c")
    with pytest.raises(ValueError, match=r"target='b': .* holds no picture of .*pen"):
        load_image_domains(tmp_path, "a", "b")


@pytest.mark.parametrize(
    "fetch, folders",
    [
        (fetch_office31, ("office31/amazon/images", "office31/webcam/images")),
        (fetch_office31, ("office31/amazon", "office31/webcam")),
        (
            fetch_office_home,
            ("OfficeHomeDataset_10072016/Art", "OfficeHomeDataset_10072016/Real World"),
        ),
        (fetch_pacs, ("PACS/photo", "PACS/sketch")),
    ],
)
def test_folders_as_they_are_unpacked(fetch, folders, tmp_path):
    for folder in folders:
        _touch(tmp_path, f"{folder}/pen/1.jpg", f"{folder}/cup/2.jpg")
    pictures = fetch(data_home=tmp_path)
    assert pictures.y.tolist() == pictures.y_target.tolist() == ["cup", "pen"]
    assert str(tmp_path / folders[1]) in pictures.X_target[0]
