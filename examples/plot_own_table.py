"""
A table of your own, from CSV to a service
==========================================

A telephone company knows which of its customers left. It has bought another company, in another
country, and knows of the customers there what its own columns say, but not who is about to leave.
Both tables are CSV files with categories, texts and gaps. This tutorial goes all the way: read
them, put an adaptation behind the usual preprocessing, choose its parameters without a label of the
new customers, save the pipeline, and predict in another process.
"""

# %%
# Two files
# ---------
# They are simulated here, and written to a temporary folder. Begin with your own two files at
# ``read_csv``: same columns, and the column to predict in the first one. In the other country fees
# are in another currency, people talk more and are longer with their company, a way to pay is new,
# and no city is known from the first file.

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skda
from skda.adaptation import DANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.inspection import DomainAlignmentDisplay
from skda.model_selection import ClassCorrelationScorer, MixValScorer

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()


def customers(n, abroad, rng):
    """Return a simulated table of customers with gaps."""
    leaves = rng.random(n) < 0.4
    # What nobody sees: how content customers are, how much they use, how long they stay.
    content, usage, loyalty = rng.normal(size=(3, n)) + np.outer((-1.1, 0.7, -0.8), leaves)
    noise = rng.normal(scale=0.35, size=(5, n))
    payment = np.where(content + rng.normal(size=n) > 0, "direct debit", "invoice")
    if abroad:
        payment[rng.random(n) < 0.3] = "wallet"
    cities = ["Lugo", "Vigo", "Gijon"] if abroad else ["Bern", "Thun", "Chur", "Olten"]
    table = pd.DataFrame(
        {
            "city": rng.choice(cities, n),
            "plan": np.where(usage + rng.normal(size=n) > 0.5, "flat", "metered"),
            "payment": payment,
            "monthly_fee": np.exp(0.35 * (usage + noise[0]) + (3.2 if abroad else 4.2)),
            "minutes": 180 + 60 * (usage + noise[1]) + 130 * abroad,
            "months": 40 + 15 * (loyalty + noise[2]) + 25 * abroad,
            "support_calls": 3 - (content + noise[3]) + 2.5 * abroad,
            "rating": (6 + 1.5 * (content + noise[4]) - 1.5 * abroad).round(1),
        }
    )
    for column, share in (("rating", 0.3), ("minutes", 0.05), ("payment", 0.1)):
        table.loc[rng.random(n) < share, column] = np.nan
    return table, np.where(leaves, "leaves", "stays")


folder = tempfile.TemporaryDirectory()
home = Path(folder.name)
rng = np.random.default_rng(0)
ours, churn = customers(1200, False, rng)
bought, churn_abroad = customers(900, True, rng)
ours.assign(churn=churn).to_csv(home / "ours.csv", index=False)
bought.to_csv(home / "bought.csv", index=False)

source = pd.read_csv(home / "ours.csv")
X, y = source.drop(columns="churn"), source["churn"]
X_target = pd.read_csv(home / "bought.csv")
print(X_target.head(3).to_string())

# %%
# Look before you train
# ---------------------
# Which columns differ, and in which way?

print(skda.diagnose(X, y, X_target, random_state=0))

# %%
# The usual preprocessing
# -----------------------
# Gaps are filled, numbers scaled, categories become columns. ``handle_unknown="ignore"`` is what
# lets a city or a way to pay pass that only the new customers have. scikit-learn's own pipelines
# hand ``X_target`` on as it is; those of :func:`skda.make_pipeline` transform it as the source, for
# which metadata routing must be on.

sklearn.set_config(enable_metadata_routing=True)


def preprocessing():
    return make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="unknown"),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            ),
            make_column_selector(dtype_exclude="number"),
        ),
    )


EPOCHS = 20
network = DeepAdaptationClassifier(max_epochs=EPOCHS, random_state=0)
warnings.simplefilter("ignore", NoTargetWarning)  # to learn from one domain is meant here
models = {
    "logistic regression": make_pipeline(preprocessing(), LogisticRegression()).fit(X, y),
    "network, no target": make_pipeline(preprocessing(), network).fit(X, y),
}

# %%
# A search that needs no label
# ----------------------------
# How strongly should the domains be aligned? Two scorers that look at predictions for the target
# rank the candidates, and the mean of their ranks decides. The target goes in as a tuple,
# ``(X_target,)``: a search would cut a table into folds. One split is enough.


def mean_rank(results):
    return int(np.argmin(results["rank_test_classes"] + results["rank_test_mixed"]))


refit: Any = mean_rank  # published types of scikit-learn know no functions here
pipe = skda.make_pipeline(preprocessing(), DANNClassifier(max_epochs=EPOCHS, random_state=0))
search = GridSearchCV(
    pipe,
    {"dannclassifier__trade_off": [0.1, 1.0, 3.0]},
    scoring={"classes": ClassCorrelationScorer(), "mixed": MixValScorer(random_state=0)},
    refit=refit,
    cv=StratifiedShuffleSplit(1, test_size=0.2, random_state=0),
)
search.fit(X, y, X_target=(X_target,))
models["DANN, chosen"] = search.best_estimator_
print("chosen:", search.best_params_)

# %%
# Save it, and use it elsewhere
# -----------------------------
# The file holds the whole pipeline and no code, so that a file from elsewhere can do no harm. The
# program that loads it gives it data frames with the same columns.

skda.save(search.best_estimator_, home / "churn.skda")
PROGRAM = """
import sys
import pandas as pd
import skda

model = skda.load(sys.argv[1])
table = pd.read_csv(sys.argv[2])
leaving = list(model.classes_).index("leaves")
table["risk"] = model.predict_proba(table)[:, leaving].round(3)
table.to_csv(sys.argv[3], index=False)
"""
files = [str(home / name) for name in ("churn.skda", "bought.csv", "risks.csv")]
subprocess.run([sys.executable, "-c", PROGRAM, *files], check=True)
risks = pd.read_csv(home / "risks.csv")
assert np.allclose(risks["risk"], models["DANN, chosen"].predict_proba(X_target)[:, 0], atol=1e-3)
print(risks.nlargest(3, "risk")[["city", "plan", "months", "risk"]].to_string(index=False))

# %%
# Who was right
# -------------
# The simulation knows who leaves. In use nobody does: :func:`skda.metrics.estimate_target_accuracy`
# and :class:`skda.model_selection.AdaptationGuard` say what can be said without, see
# :ref:`sphx_glr_gallery_plot_did_it_help.py`.

for name, model in models.items():
    print(f"{name:20} {100 * model.score(X_target, churn_abroad):5.1f} %")

steps, network = search.best_estimator_[:-1], search.best_estimator_[-1]
display = DomainAlignmentDisplay.from_estimator(
    network, steps.transform(X), steps.transform(X_target), y=y, random_state=0
)
display.figure_.savefig("own_table.png", dpi=120)
plt.show()
folder.cleanup()
print(f"saved own_table.png after {time.perf_counter() - start:.0f} s")
