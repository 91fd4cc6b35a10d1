"""Deep features for classic classifiers."""
