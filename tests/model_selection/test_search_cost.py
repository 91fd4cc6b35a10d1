import pytest
import sklearn
from sklearn.model_selection import GridSearchCV

from skda import make_pipeline
from skda.adaptation import DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.model_selection import TargetEntropyScorer


@pytest.mark.parametrize("has_memory", [False, True])
def test_with_the_row_cache_a_search_computes_every_row_once(
    few, tmp_path, monkeypatch, has_memory
):
    numbers = []
    features = DeepFeatureExtractor._features

    def count(self, inputs, device, sizes):
        numbers.append(len(inputs))
        return features(self, inputs, device, sizes)

    monkeypatch.setattr(DeepFeatureExtractor, "_features", count)
    pipe = make_pipeline(
        DeepFeatureExtractor(cache=tmp_path / "rows", random_state=0),
        DeepCORALClassifier(max_epochs=1, random_state=0),
        memory=str(tmp_path / "memory") if has_memory else None,
    )
    search = GridSearchCV(
        pipe, {"deepcoralclassifier__trade_off": [0, 1]}, scoring=TargetEntropyScorer(), cv=2
    )
    with sklearn.config_context(enable_metadata_routing=True):
        search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert sum(numbers) == len(few["X"]) + len(few["X_target"])
