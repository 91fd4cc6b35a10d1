import json
import subprocess
import sys

import pytest

# One process for all, since torch alone takes seconds.
CODE = """
import json, sys, time
import torch, sklearn
start = time.process_time()
import skda
seconds = time.process_time() - start
at_first_use = skda.adaptation.DANNClassifier.__name__, "losses" in dir(skda)
is_there = hasattr(skda, "nothing")
import skda.adaptation, skda.feature_extraction, skda.fine_tuning, skda.model_selection
extras = [m for m in ("matplotlib", "torchvision", "timm", "PIL") if m in sys.modules]
print(json.dumps([seconds, at_first_use, is_there, extras]))
"""


def run():
    result = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def imported():
    return run()


def test_import_pulls_in_no_extra(imported):
    assert imported[3] == []


def test_import_is_quick_after_torch_and_sklearn(imported):
    # On a busy machine the first one may have waited.
    assert imported[0] < 0.3 or min(run()[0] for _ in range(2)) < 0.3


def test_subpackages_load_on_first_use(imported):
    assert imported[1] == ["DANNClassifier", True]


def test_unknown_attribute_is_an_attribute_error(imported):
    assert not imported[2]
