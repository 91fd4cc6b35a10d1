"""Accuracy of a support vector machine on photographs in the encodings that users have.

The photographs of two domains of Office-Caltech10 are written in every encoding, features of a
pretrained MobileNetV2 are extracted from the files, and a linear SVM is trained on the plain files
of one domain and tested on the encoded files of the other. Needs the environment variable
SKDA_DATA. Run it as ``python benchmarks/bench_encodings.py``.
"""

import argparse
import io
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

from skda.feature_extraction import DeepFeatureExtractor

DATA = Path(os.environ.get("SKDA_DATA", Path.home() / "skda_data"))


def encoded(image, form, **options):
    """Return the bytes of a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def sideways(image, orientation):
    """Return a JPEG that is stored turned and mirrored, and says so."""
    undone = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image if undone is None else image.transpose(undone)
    return encoded(stored, "JPEG", quality=95, exif=exif)


def grey16(image):
    """Return a grey picture of 16 bits."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def as_float(image):
    """Return a grey picture of floats in [0, 1]."""
    return Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255)


ENCODINGS = {
    "PNG, 8 bit RGB": lambda image: encoded(image, "PNG"),
    "PNG, 8 bit grey": lambda image: encoded(image.convert("L"), "PNG"),
    "PNG, 16 bit grey": lambda image: encoded(grey16(image), "PNG"),
    **{
        f"JPEG, orientation {number}": lambda image, number=number: sideways(image, number)
        for number in range(1, 9)
    },
    "JPEG, CMYK": lambda image: encoded(image.convert("CMYK"), "JPEG", quality=95),
    "PNG, palette": lambda image: encoded(image.quantize(256), "PNG"),
    "PNG, RGBA": lambda image: encoded(image.convert("RGBA"), "PNG"),
    "WebP, lossless": lambda image: encoded(image, "WEBP", lossless=True),
    "TIFF, float": lambda image: encoded(as_float(image), "TIFF"),
    "TIFF, 16 bit grey": lambda image: encoded(grey16(image), "TIFF"),
    "GIF": lambda image: encoded(image, "GIF"),
}
LOSSLESS = ("PNG, 8 bit RGB", "PNG, RGBA", "WebP, lossless")


def read_domain(name):
    """Return the photographs of a domain and their classes."""
    path = DATA / "office_caltech10_images" / "office_caltech10_128px.zip"
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith(f"{name}/") and "." in n)
        pictures = [Image.open(io.BytesIO(archive.read(n))).convert("RGB") for n in names]
    return pictures, [n.split("/")[1] for n in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="amazon")
    parser.add_argument("--target", default="webcam")
    args = parser.parse_args()
    extractor = DeepFeatureExtractor(
        "timm/mobilenetv2_100",
        weights=DATA / "weights" / "mobilenetv2_100_imagenet_timm.safetensors",
        module__pad_type="same",
        module__bn_eps=1e-3,
        n_jobs=2,
    )
    (pictures, y), (target, y_target) = read_domain(args.source), read_domain(args.target)
    svm = make_pipeline(Normalizer(), LinearSVC(random_state=0))
    svm.fit(extractor.fit_transform(pictures), y)
    grey = [image.convert("L").convert("RGB") for image in target]
    plain = {"RGB": extractor.transform(target), "grey": extractor.transform(grey)}
    for name, features in plain.items():
        print(f"{name + ' in memory':22} {100 * svm.score(features, y_target):5.1f}")
    print(f"{'encoding':22} accuracy  same prediction  largest difference of a feature")
    for name, encode in ENCODINGS.items():
        features = extractor.transform([encode(image) for image in target])
        reference = plain["grey" if "grey" in name or "float" in name else "RGB"]
        same = np.mean(svm.predict(features) == svm.predict(reference))
        print(
            f"{name:22} {100 * svm.score(features, y_target):5.1f} {100 * same:16.1f}"
            f" {abs(features - reference).max():18.2g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
