"""How training shows how far it is."""

import io
import re
from contextlib import redirect_stderr

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring
from tqdm import tqdm

from skda.adaptation import ADDAClassifier, DeepCORALClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.training import Progress, RowProgress
from skda.training._progress import is_nested


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal():
    """Whose ``shown`` is what a function writes on a terminal, that stands in place of stderr."""

    class Recorder:
        def __init__(self):
            self.screen = Terminal()

        def __enter__(self):
            self.redirection = redirect_stderr(self.screen)
            self.redirection.__enter__()

        def __exit__(self, *error):
            self.redirection.__exit__(*error)

        @property
        def shown(self):
            return self.screen.getvalue()

    return Recorder()


def fit(few, cls=DeepCORALClassifier, **params):
    clf = cls(**{"max_epochs": 3, "batch_size": 100, "random_state": 0, **params})
    metadata = {} if cls is FineTuneClassifier else {"X_target": few["X_target"]}
    return clf.fit(few["X"], few["y"], **metadata)


# -- lines ------------------------------------------------------------------------------------


def test_nothing_is_shown_by_default(few, capsys):
    fit(few)
    assert capsys.readouterr() == ("", "")


def test_log_has_one_plain_line_an_epoch(few, capsys):
    fit(few, verbose=1, validation_fraction=0.3)
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"adapt: epoch {number}/3, ") and line.isprintable()
        for name in ("train_loss", "classification_loss", "valid_loss", "valid_accuracy"):
            assert re.search(rf"{name} \d", line)
        assert "left" not in line
    assert len(lines) == 3


def test_score_of_a_callback_is_shown(few, capsys):
    auc = EpochScoring("roc_auc_ovr", name="auc", lower_is_better=False)
    fit(few, verbose=1, validation_fraction=0.3, callbacks=[auc])
    assert "auc 0." in capsys.readouterr().out


def test_second_level_tells_the_rest_of_time(few, capsys):
    fit(few, verbose=2)
    assert capsys.readouterr().out.count(" s left\n") == 3


@pytest.mark.parametrize("n_epochs", [39, 40, 41, 1000])
def test_log_of_a_long_training_is_short(n_epochs, capsys):
    with Progress(1) as progress:
        progress.begin(n_epochs)
        for epoch in range(n_epochs):
            progress.begin_epoch("adapt")
            progress.end_epoch({"epoch": epoch + 1, "train_loss": 1.0})
    lines = capsys.readouterr().out.splitlines()
    assert 20 <= len(lines) <= 41
    assert lines[-1].startswith(f"adapt: epoch {n_epochs}/{n_epochs}")


def test_stages_are_named(few, capsys):
    fit(few, ADDAClassifier, verbose=1, max_epochs=2)
    names = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["source", "source", "target", "target"]


def test_early_stopping_says_why_it_stops(few, capsys):
    fit(few, verbose=1, max_epochs=60, early_stopping=True, n_iter_no_change=1, lr=0.5)
    assert "Stopping since valid_loss" in capsys.readouterr().out


def test_seconds_become_hours(capsys):
    with Progress(2) as progress:
        progress.begin(101)
        progress.begin_epoch("adapt")
        for _ in range(3):
            progress.end_epoch({"train_loss": 1.0, "dur": 100.0})
    assert "about 2 h 43 min left" in capsys.readouterr().out


def test_training_that_goes_on_counts_on(few, capsys):
    clf = FineTuneClassifier(max_epochs=2, random_state=0, verbose=2)
    for _ in range(3):
        clf.partial_fit(few["X"], few["y"], classes=range(10))
    lines = capsys.readouterr().out.splitlines()
    assert [re.search(r"epoch (\d/\d)", line)[1] for line in lines] == ["1/2", "2/2", "3/3"]


# -- bars -------------------------------------------------------------------------------------


def test_terminal_has_one_bar_for_all_stages(few, terminal, capsys):
    with terminal:
        fit(few, ADDAClassifier, verbose=1)
    shown = terminal.shown
    assert shown.count("\n") == 1  # a second bar would have a line of its own
    assert "source, epoch 1/3" in shown and "target, epoch 3/3" in shown
    assert "100%" in shown.split("\r")[-1]
    assert capsys.readouterr().out == ""


def test_rest_of_time_is_on_the_bar_at_the_second_level(few, terminal):
    with terminal:
        fit(few, verbose=1)
    assert "<" not in terminal.shown
    with terminal:
        fit(few, verbose=2)
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", terminal.shown)


@pytest.mark.filterwarnings("error::tqdm.TqdmWarning")
def test_steps_add_up_to_the_whole(terminal):
    with terminal, Progress(1) as progress:
        progress.begin(7)
        for _ in range(7):
            progress.begin_epoch("adapt")
            for _ in range(49):
                progress.step(49)
            progress.end_epoch({"train_loss": 1.0})
    assert "100%" in terminal.shown.split("\r")[-1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("cls", [DeepCORALClassifier, ADDAClassifier])
def test_error_closes_the_bar(error, cls, few, terminal):
    class Failure(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise error

    with pytest.raises(error), terminal:
        fit(few, cls, verbose=1, callbacks=[Failure()])
    assert not tqdm._instances
    assert terminal.shown.endswith("\n")


def test_net_holds_no_bar_afterwards(few, terminal):
    with terminal:
        clf = fit(few, verbose=1)
    assert clf.net_._progress is None and clf.net_._own_progress is None


# -- searches ---------------------------------------------------------------------------------


def _ask():
    return is_nested()


@pytest.mark.parametrize("options", [{}, {"n_jobs": 2, "prefer": "threads"}])
def test_tasks_of_joblib_are_nested(options):
    assert Parallel(**options)(delayed(_ask)() for _ in range(2)) == [True, True]
    assert not is_nested()


def test_search_draws_no_bar_for_its_fits(few, terminal, capsys):
    search = GridSearchCV(
        FineTuneClassifier(max_epochs=1, verbose=1, random_state=0),
        {"lr": [0.1, 0.01]},
        cv=2,
        refit=False,
    )
    with terminal:
        search.fit(few["X"], few["y"])
    assert terminal.shown == "" and capsys.readouterr().out == ""
    with terminal:
        search.set_params(refit=True).fit(few["X"], few["y"])
    assert terminal.shown.count("\n") == 1  # of the last fit
    assert capsys.readouterr().out == ""


def test_second_level_logs_the_fits_of_a_search(few, terminal, capsys):
    clf = FineTuneClassifier(max_epochs=1, verbose=2, random_state=0)
    with terminal:
        GridSearchCV(clf, {"lr": [0.1, 0.01]}, cv=2, refit=False).fit(few["X"], few["y"])
    assert len(capsys.readouterr().out.splitlines()) == 4 and terminal.shown == ""


# -- rows -------------------------------------------------------------------------------------


def test_rows_of_a_log_are_few_lines(capsys):
    with RowProgress(100_000, 1) as progress:
        for _ in range(10_000):
            progress.update(10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40 and lines[-1] == "100000/100000 rows"


def test_rows_have_a_bar_on_a_terminal(terminal):
    with terminal, RowProgress(30, 1) as progress:
        progress.update(10)
        progress.update(20)
    assert "30/30 rows 100%" in terminal.shown


def test_figures_are_those_of_the_history(few, capsys):
    clf = fit(few, verbose=1)
    shown = [float(x) for x in re.findall(r"train_loss ([\d.]+)", capsys.readouterr().out)]
    assert shown == pytest.approx(np.round(clf.history_[:, "train_loss"], 3).tolist(), rel=1e-3)
