"""Data sets with two domains."""

from skda.datasets._digits import load_shifted_digits
from skda.datasets._fetch_digits import fetch_digits, fetch_mnist_m
from skda.datasets._fetch_office import fetch_office_caltech10
from skda.datasets._fetch_reviews import fetch_amazon_reviews
from skda.datasets._files import get_data_home
from skda.datasets._image_folders import (
    fetch_office31,
    fetch_office_home,
    fetch_pacs,
    load_image_domains,
)
from skda.datasets._machine_faults import make_machine_faults
from skda.datasets._reviews import make_reviews
from skda.datasets._wearables import make_wearable_activity

__all__ = [
    "fetch_amazon_reviews",
    "fetch_digits",
    "fetch_mnist_m",
    "fetch_office31",
    "fetch_office_caltech10",
    "fetch_office_home",
    "fetch_pacs",
    "get_data_home",
    "load_image_domains",
    "load_shifted_digits",
    "make_machine_faults",
    "make_reviews",
    "make_wearable_activity",
]
