"""Rows that are held out of training."""

from skda.training import DomainDataset, take_rows


class Holdout:
    """A skorch ``train_split`` that holds out labelled source rows, as the task splits them.

    Parameters
    ----------
    task : Task
        Of the labels.

    fraction : float
        Share of the labelled rows.

    random_state : int
        Seed.
    """

    def __init__(self, task, fraction, random_state):
        self.task, self.fraction, self.random_state = task, fraction, random_state

    def __call__(self, dataset):
        """Return the training data and the validation data."""
        train, valid = self.task.split(dataset.y, self.fraction, self.random_state)
        training = DomainDataset(
            take_rows(dataset.X, train),
            dataset.y[train],
            dataset.targets,
            dataset.target_labels,
            weights=dataset.weights_without(valid),
        )
        held_out = DomainDataset(
            take_rows(dataset.X, valid), dataset.y[valid], weights=dataset.source_weights(valid)
        )
        return training, held_out
