"""What newcomers do wrong is answered in a few lines that say what to do."""

import numpy as np
import pandas as pd
import pytest
import torch

import skda
from skda.adaptation import DANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

MOST_LINES, MOST_CHARACTERS = 12, 1000
COLUMNS = [f"a_rather_long_name_of_column_{number}" for number in range(200)]
TABLE = pd.DataFrame(np.zeros((40, 200)), columns=COLUMNS)
LABELS = [0, 1] * 20


def fit(X, y=LABELS, **params):
    return DANNClassifier(max_epochs=1, random_state=0).fit(X, y, **params)


@pytest.fixture(scope="module")
def clf():
    """A classifier that was fitted on a table with names."""
    return fit(TABLE, X_target=TABLE)


def wrong_weights(tmp_path):
    torch.save(
        {f"layer_{number}.weight": torch.zeros(3) for number in range(500)}, tmp_path / "w.pt"
    )
    layers = [torch.nn.Linear(4, 4) for _ in range(200)]
    network = torch.nn.Sequential(*layers)
    return FineTuneClassifier(module=network, weights=tmp_path / "w.pt").fit(
        np.eye(4), [0, 1, 0, 1]
    )


MISTAKES = {
    "weights of another network": (wrong_weights, "does not fit Sequential"),
    "the target by position": (
        lambda _: DANNClassifier().fit(TABLE, LABELS, TABLE),
        r"fit\(X, y, X_target=X_target\)",
    ),
    "a target with fewer columns": (
        lambda _: fit(TABLE, X_target=TABLE.iloc[:, :50]),
        "it lacks 'a_rather_long_name_of_column_50'.* and 145 more",
    ),
    "a target with other columns": (
        lambda _: fit(TABLE, X_target=TABLE.add_suffix("_x")),
        "has also 'a_rather_long_name_of_column_0_x'",
    ),
    "targets of different widths": (
        lambda _: fit(TABLE.to_numpy(), X_target=[np.zeros((5, 200)), np.zeros((5, 3))]),
        r"X_target\[1\] has rows of shape \(3,\)",
    ),
    "rows of different lengths": (
        lambda _: fit(TABLE.to_numpy(), X_target=[[1, 2], [3]]),
        "rows of different shapes; give all rows one shape",
    ),
    "the path of a table": (
        lambda _: fit(TABLE, X_target="hospital.csv"),
        r"pandas.read_csv\('hospital.csv'\)",
    ),
    "paths of tables": (
        lambda _: DeepFeatureExtractor(torch.nn.Flatten()).fit_transform(["hospital.csv"] * 9),
        r"pandas.read_csv\('hospital.csv'\)",
    ),
    "a folder": (
        lambda folder: DeepFeatureExtractor(torch.nn.Flatten()).fit_transform(str(folder)),
        r"give the files in the folder: sorted\(Path",
    ),
    "texts without a network for them": (
        lambda _: fit(["a good tool", "it broke"] * 20, X_target=["cuts well"]),
        "module='transformers/NAME'",
    ),
    "another library's name": (
        lambda _: DANNClassifier(seed=3).fit(TABLE, LABELS, X_target=TABLE),
        "here it is 'random_state'",
    ),
    "a loss without a gradient": (
        lambda _: DeepAdaptationClassifier(
            alignment=lambda source, target: np.float32(0), max_epochs=1
        ).fit(TABLE, LABELS, X_target=TABLE),
        "must return a scalar tensor, but it gave a float",
    ),
}


def said(mistake):
    with pytest.raises(Exception) as caught:
        mistake()
    message = str(caught.value)
    assert len(message.splitlines()) <= MOST_LINES and len(message) <= MOST_CHARACTERS
    return message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("mistake", "advice"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_of_fit(mistake, advice, tmp_path):
    pytest.importorskip("PIL")
    with pytest.raises(Exception, match=advice):
        mistake(tmp_path)
    said(lambda: mistake(tmp_path))


def test_one_row_without_brackets(clf):
    message = said(lambda: clf.predict(np.zeros(200)))
    assert "of shape (200,)" in message and "[x] for a single row" in message


def test_other_columns_than_in_fit(clf):
    message = said(lambda: clf.predict(TABLE.add_suffix("_x")))
    assert message.count("\n- a_rather") == 6 and message.count("\n- ...") == 2


def test_a_folder_that_is_not_there(clf, tmp_path):
    for write in (clf.to_onnx, lambda path: skda.save(clf, path)):
        if write == clf.to_onnx:
            pytest.importorskip("onnxscript")
        assert "there is no folder" in said(lambda write=write: write(tmp_path / "no" / "x"))


def test_a_log_holds_plain_lines(capsys, few):
    """Where nobody looks on: no colours, no bar that is drawn again and again."""
    DANNClassifier(max_epochs=2, verbose=2, random_state=0).fit(**few)
    log = "".join(capsys.readouterr())
    assert log.count("\n") == 2 and not set("\x1b\r") & set(log)
