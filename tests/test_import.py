import subprocess
import sys


def run(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return result.stdout.split()


def test_import_pulls_in_no_extra():
    code = (
        "import sys, skda, skda.adaptation, skda.model_selection, skda.feature_extraction;"
        "import skda.fine_tuning;"
        "print([m for m in ('matplotlib', 'torchvision', 'timm', 'PIL') if m in sys.modules])"
    )
    assert run(code) == ["[]"]


def test_import_is_quick_after_torch_and_sklearn():
    code = (
        "import time, torch, sklearn; start = time.process_time(); import skda;"
        "print(time.process_time() - start)"
    )
    assert min(float(run(code)[0]) for _ in range(3)) < 0.3


def test_subpackages_load_on_first_use():
    code = "import skda; print(skda.adaptation.DANNClassifier.__name__, 'losses' in dir(skda))"
    assert run(code) == ["DANNClassifier", "True"]


def test_unknown_attribute_is_an_attribute_error():
    code = "import skda; print(hasattr(skda, 'nothing'))"
    assert run(code) == ["False"]
