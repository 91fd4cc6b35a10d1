"""The same task in four libraries, as a user of each writes it.

Every program takes source rows and labels, target rows and a random state, and returns predictions
for the target. The network, where it can be set, is that of `layers`; 40 epochs of batches of 64
rows of either domain, Adam with 1e-3. Lines of the programs are counted as lines of user code.
"""

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH_SIZE, RATE = 40, 64, 1e-3


def layers(n_columns, batch_norm):
    """The network of all: 128 and 64 units, as `skda.nn.MLP` has by itself."""
    modules = []
    for n_in, n_out in ((n_columns, 128), (128, 64)):
        modules += [nn.Linear(n_in, n_out, bias=not batch_norm)]
        modules += [nn.BatchNorm1d(n_out)] * batch_norm + [nn.ReLU()]
    return nn.Sequential(*modules)


# -- skda ---------------------------------------------------------------------------------------


def skda_network(method, X, y, X_target, state, batch_norm):
    from skda import adaptation

    classifier = getattr(adaptation, f"{method}Classifier")(
        module__hidden_layer_sizes=(128, 64), module__batch_norm=batch_norm, random_state=state
    )
    return classifier.fit(X, y, X_target=X_target).predict(X_target)


def skda_source_only(method, X, y, X_target, state, batch_norm):
    from skda.base import DeepAdaptationClassifier

    classifier = DeepAdaptationClassifier(
        module__hidden_layer_sizes=(128, 64), module__batch_norm=batch_norm, random_state=state
    )
    return classifier.fit(X, y).predict(X_target)


def skda_transformer(method, X, y, X_target, state, batch_norm):
    from sklearn.linear_model import LogisticRegression

    from skda import make_pipeline, subspace

    pipeline = make_pipeline(getattr(subspace, method)(), LogisticRegression(max_iter=1000))
    return pipeline.fit(X, y, X_target=X_target).predict(X_target)


# -- skada --------------------------------------------------------------------------------------


class SkadaModule(nn.Module):
    def __init__(self, n_columns, n_classes, batch_norm):
        super().__init__()
        self.features = layers(n_columns, batch_norm)
        self.head = nn.Linear(64, n_classes)

    def forward(self, X, sample_weight=None):
        return self.head(self.features(X))


class MendedDiscriminator(nn.Module):
    """With a sigmoid: the one that skada makes itself says 1 of every row."""

    def __init__(self, n_features):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(n_features, 100), nn.BatchNorm1d(100), nn.ReLU()),
            *(nn.Linear(100, 1), nn.Sigmoid()),
        )

    def forward(self, x):
        from skada.deep.modules import GradientReversalLayer

        return self.layers(GradientReversalLayer.apply(x, 1)).squeeze()


def skada_network(method, X, y, X_target, state, batch_norm):
    from skada import deep

    n_classes = len(np.unique(y))
    torch.manual_seed(state)
    own = {"num_features": 64} if method in ("DANN", "CDAN") else {}
    own |= {"n_classes": n_classes} if method == "CDAN" else {}
    net = getattr(deep, method)(
        SkadaModule(X.shape[1], n_classes, batch_norm),
        layer_name="features",
        train_split=None,
        max_epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        optimizer=torch.optim.Adam,
        lr=RATE,
        verbose=0,
        **own,
    )
    rows = np.concatenate([X, X_target])
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    domains = np.concatenate([np.ones(len(X), int), np.full(len(X_target), -2)])
    net.fit(rows, labels, sample_domain=domains)
    return net.predict(X_target, sample_domain=np.full(len(X_target), -2))


def skada_mended(method, X, y, X_target, state, batch_norm):
    from skada import deep

    n_classes = len(np.unique(y))
    torch.manual_seed(state)
    n_features = {"DANN": 64, "CDAN": 64 * n_classes}[method]
    net = getattr(deep, method)(
        SkadaModule(X.shape[1], n_classes, batch_norm),
        layer_name="features",
        domain_classifier=MendedDiscriminator(n_features),
        train_split=None,
        max_epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        optimizer=torch.optim.Adam,
        lr=RATE,
        verbose=0,
    )
    rows = np.concatenate([X, X_target])
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    domains = np.concatenate([np.ones(len(X), int), np.full(len(X_target), -2)])
    net.fit(rows, labels, sample_domain=domains)
    return net.predict(X_target, sample_domain=np.full(len(X_target), -2))


def skada_transformer(method, X, y, X_target, state, batch_norm):
    from skada import CORALAdapter, TransferComponentAnalysisAdapter, make_da_pipeline
    from sklearn.linear_model import LogisticRegression

    adapter = {"CORAL": CORALAdapter, "TCA": TransferComponentAnalysisAdapter}[method]()
    pipeline = make_da_pipeline(adapter, LogisticRegression(max_iter=1000))
    rows = np.concatenate([X, X_target])
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    domains = np.concatenate([np.ones(len(X), int), np.full(len(X_target), -2)])
    pipeline.fit(rows, labels, sample_domain=domains)
    return pipeline.predict(X_target, sample_domain=np.full(len(X_target), -2))


# -- pytorch-adapt --------------------------------------------------------------------------------


def pytorch_adapt_containers(n_columns, n_classes, batch_norm, **others):
    from pytorch_adapt.containers import Models, Optimizers

    models = {"G": layers(n_columns, batch_norm), "C": nn.Linear(64, n_classes), **others}
    optimizers = Optimizers((torch.optim.Adam, {"lr": RATE}))
    return {"models": Models(models), "optimizers": optimizers}


def pytorch_adapt_discriminator(n_features):
    return nn.Sequential(*(nn.Linear(n_features, 100), nn.ReLU(), nn.Linear(100, 1), nn.Flatten(0)))


def pytorch_adapt_loop(adapter, X, y, X_target):
    from torch.utils.data import DataLoader, TensorDataset

    options = {"batch_size": BATCH_SIZE, "shuffle": True, "drop_last": True}
    source = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), **options)
    target = DataLoader(TensorDataset(torch.from_numpy(X_target)), **options)
    adapter.models.train()
    for _ in range(EPOCHS):
        for (rows, labels), (target_rows,) in zip(source, target, strict=False):
            adapter.training_step(
                {
                    "src_imgs": rows,
                    "src_labels": labels,
                    "target_imgs": target_rows,
                    "src_domain": torch.zeros(len(rows)),
                    "target_domain": torch.ones(len(target_rows)),
                }
            )
    adapter.models.eval()
    with torch.no_grad():
        return adapter.inference(torch.from_numpy(X_target))["logits"].argmax(1).numpy()


def pytorch_adapt_dann(method, X, y, X_target, state, batch_norm):
    from pytorch_adapt.adapters import DANN

    torch.manual_seed(state)
    discriminator = pytorch_adapt_discriminator(64)
    containers = pytorch_adapt_containers(
        X.shape[1], len(np.unique(y)), batch_norm, D=discriminator
    )
    return pytorch_adapt_loop(DANN(**containers), X, y, X_target)


def pytorch_adapt_cdan(method, X, y, X_target, state, batch_norm):
    from pytorch_adapt.adapters import CDAN
    from pytorch_adapt.containers import Misc
    from pytorch_adapt.layers import RandomizedDotProduct

    torch.manual_seed(state)
    n_classes = len(np.unique(y))
    discriminator = pytorch_adapt_discriminator(1024)
    containers = pytorch_adapt_containers(X.shape[1], n_classes, batch_norm, D=discriminator)
    misc = Misc({"feature_combiner": RandomizedDotProduct([64, n_classes], 1024)})
    return pytorch_adapt_loop(CDAN(**containers, misc=misc), X, y, X_target)


def pytorch_adapt_aligner(method, X, y, X_target, state, batch_norm):
    from pytorch_adapt.adapters import Aligner
    from pytorch_adapt.layers import CORALLoss, MMDLoss

    torch.manual_seed(state)
    scales = 2.0 ** torch.arange(-2, 3)
    losses = {"DeepCoral": CORALLoss(), "DAN": MMDLoss(scales, mmd_type="quadratic")}
    containers = pytorch_adapt_containers(X.shape[1], len(np.unique(y)), batch_norm)
    adapter = Aligner(**containers, hook_kwargs={"loss_fn": losses[method]})
    return pytorch_adapt_loop(adapter, X, y, X_target)


# -- embetter: no adaptation, but a network in front of a classifier of scikit-learn ------------


def embetter_network(method, X, y, X_target, state, batch_norm):
    from embetter.finetune import FeedForwardTuner
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    torch.manual_seed(state)
    tuner = FeedForwardTuner(hidden_dim=64, n_epochs=EPOCHS, learning_rate=RATE, batch_size=64)
    pipeline = make_pipeline(tuner, LogisticRegression(max_iter=1000))
    return pipeline.fit(X, y).predict(X_target)
