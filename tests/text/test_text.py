"""Texts: lists and columns of them, their tokens, and batches of like length."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from skda.text import (
    TextPreprocess,
    TextRows,
    as_text_list,
    check_texts,
    resolve_text_preprocess,
    text_key,
)

TEXTS = ["it cuts well", "", "it broke", "it cuts well well well well"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "cuts", "well", "broke"]


@pytest.fixture
def tokenizer():
    transformers = pytest.importorskip("transformers")
    return transformers.BertTokenizer(vocab={word: n for n, word in enumerate(WORDS)})


@pytest.fixture
def preprocess(tokenizer):
    return TextPreprocess(tokenizer=tokenizer)


def bare_tokenizer(**special):
    """A tokenizer that adds nothing, as decoders have them."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"?": 0, "it": 1, "broke": 2, "<end>": 3}, unk_token="?")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def columns():
    yield "list", list(TEXTS)
    yield "tuple", tuple(TEXTS)
    yield "str array", np.array(TEXTS)
    yield "object array", np.array(TEXTS, dtype=object)
    yield "array of one column", np.array(TEXTS)[:, None]
    for name, makers in {
        "pandas": ("Series", "Index", "DataFrame"),
        "polars": ("Series", "DataFrame"),
        "pyarrow": ("array", "chunked_array", "table"),
    }.items():
        try:
            library = __import__(name)
        except ImportError:
            continue
        for maker in makers:
            data = TEXTS if maker.lower() not in ("dataframe", "table") else {"text": TEXTS}
            data = [TEXTS[:2], TEXTS[2:]] if maker == "chunked_array" else data
            yield f"{name} {maker}", getattr(library, maker)(data)


@pytest.mark.parametrize("X", [pytest.param(X, id=name) for name, X in columns()])
def test_columns_of_texts_become_lists(X):
    texts = as_text_list(X)
    assert texts == TEXTS and {type(text) for text in texts} == {str}


@pytest.mark.parametrize(
    "X", [[[0.5], [1.5]], np.zeros((2, 1)), torch.zeros(2), np.array([TEXTS, TEXTS]), 3, [1, 2]]
)
def test_other_things_are_no_texts(X):
    assert as_text_list(X) is None


def test_tables_of_several_columns_are_no_texts():
    pandas = pytest.importorskip("pandas")
    assert as_text_list(pandas.DataFrame({"title": TEXTS, "text": TEXTS})) is None


@pytest.mark.parametrize("missing", [None, float("nan"), 3, b"it broke"])
def test_a_row_without_text_is_named(missing):
    with pytest.raises(TypeError, match=r"X\[2\] is .* no text; drop the row"):
        as_text_list(["it", "", missing])


def test_missing_values_of_a_column_of_strings_are_named():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"X\[1\]"):
        as_text_list(pandas.Series(["it", None], dtype="string"))


def test_a_single_text_and_an_empty_list_are_errors():
    with pytest.raises(ValueError, match=r"pass a list of them: \[X\]"):
        as_text_list("it broke")
    with pytest.raises(ValueError, match="empty list"):
        as_text_list([])


def test_half_a_surrogate_pair_is_named():
    with pytest.raises(ValueError, match=r"X\[1\] is no valid Unicode"):
        check_texts(["it", "\ud83d"])


def test_texts_are_plain_strings():
    assert [type(text) for text in check_texts([np.str_("it"), "broke"])] == [str, str]


def test_keys_tell_texts_apart():
    assert text_key("Grüße") == text_key("Grüße") != text_key("Gruße")
    assert len({text_key(text) for text in TEXTS}) == len(TEXTS)


def test_tokens_are_padded_to_the_longest_of_the_batch(preprocess):
    inputs = preprocess(["It cuts", "", "it BROKE well"])
    assert {name: (ids.dtype, ids.shape) for name, ids in inputs.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), (torch.int64, (3, 5))
    )
    assert inputs["input_ids"].tolist() == [[2, 5, 6, 3, 0], [2, 3, 0, 0, 0], [2, 5, 8, 7, 3]]
    assert inputs["attention_mask"].sum(1).tolist() == [4, 2, 5]


def test_tokens_are_those_of_the_tokenizer(tokenizer):
    tokenizer.padding_side = "left"
    ours = TextPreprocess(tokenizer=tokenizer, max_length=5, prompt="it ").encode(TEXTS[:3])
    theirs = tokenizer(
        ["it " + text for text in TEXTS[:3]],
        padding=True,
        padding_side="right",
        truncation=True,
        max_length=5,
        return_tensors="pt",
    )
    assert {*ours} == {*theirs}
    for name, ids in theirs.items():
        assert torch.equal(ours[name], ids)


def test_token_types_only_where_the_network_takes_them(preprocess):
    assert "token_type_ids" not in replace(preprocess, token_type_ids=False)(TEXTS)


def test_an_empty_batch_has_no_rows(preprocess):
    assert preprocess([])["input_ids"].shape[0] == 0


def test_lengths_are_those_before_the_cut(preprocess):
    short = replace(preprocess, max_length=4)
    assert short.lengths(TEXTS).tolist() == [5, 2, 4, 8]
    many = TEXTS * 600  # more than are tokenised at a time
    assert short.lengths(many).tolist() == [5, 2, 4, 8] * 600


def test_cut_texts_are_counted_in_a_warning(preprocess):
    short = replace(preprocess, max_length=4)
    with pytest.warns(UserWarning, match=r"2 of 4 texts .* max_length=4 .*max_length=8\)"):
        inputs = short(TEXTS)
    assert inputs["input_ids"].shape == (4, 4)


def test_a_warning_offers_no_length_that_the_network_cannot_take(preprocess):
    with pytest.warns(UserWarning, match="the network takes no more; split the texts"):
        replace(preprocess, max_length=5, longest=5)(TEXTS)
    with pytest.warns(UserWarning, match=r"dict\(max_length=6\)"):
        replace(preprocess, max_length=5, longest=6)(TEXTS)


def test_texts_that_just_fit_cause_no_warning(preprocess):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace(preprocess, max_length=8)(TEXTS)


@pytest.mark.parametrize("max_length", [0, 2, 9, 4.5, "4"])
def test_impossible_lengths_are_errors(preprocess, max_length):
    with pytest.raises(ValueError, match=r"max_length must be an int of more than 2.* at most 8"):
        replace(preprocess, max_length=max_length, longest=8)


def test_rows_without_text_are_named_when_called(preprocess):
    with pytest.raises(TypeError, match=r"X\[1\] is nan"):
        preprocess(["it", float("nan")])
    with pytest.raises(TypeError, match="single text"):
        preprocess("it")


def test_an_empty_text_is_the_token_of_ends_where_none_is_added():
    preprocess = TextPreprocess(tokenizer=bare_tokenizer(eos_token="<end>"))
    inputs = preprocess(["it broke", ""])
    assert inputs["input_ids"].tolist() == [[1, 2], [3, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert preprocess.lengths(["it broke", ""]).tolist() == [2, 1]


def test_an_empty_text_without_any_token_is_an_error():
    with pytest.raises(ValueError, match="no token for that; drop the row"):
        TextPreprocess(tokenizer=bare_tokenizer())([""])


def test_pickled_preprocessing_is_the_same(preprocess):
    short = replace(preprocess, max_length=5)
    loaded = pickle.loads(pickle.dumps(short))
    assert torch.equal(loaded.encode(TEXTS)["input_ids"], short.encode(TEXTS)["input_ids"])
    assert loaded.max_length == 5


def test_fingerprints_tell_tokenizers_and_settings_apart(preprocess):
    first = preprocess.fingerprint()
    replace(preprocess, max_length=4).encode(TEXTS)  # leaves its length in the tokenizer
    assert preprocess.fingerprint() == first
    assert pickle.loads(pickle.dumps(preprocess)).fingerprint() == first
    others = [
        replace(preprocess, max_length=4).fingerprint(),
        replace(preprocess, prompt="query: ").fingerprint(),
        TextPreprocess(tokenizer=bare_tokenizer()).fingerprint(),
    ]
    assert len({first, *others}) == 4


def test_a_dict_changes_the_networks_own(preprocess):
    assert resolve_text_preprocess("auto", preprocess) is preprocess
    assert resolve_text_preprocess({"max_length": 5}, preprocess).max_length == 5
    with pytest.raises(ValueError, match="no entry 'size'; the entries for texts are tokenizer"):
        resolve_text_preprocess({"size": 5}, preprocess)
    with pytest.raises(ValueError, match="no tokenizer of its own"):
        resolve_text_preprocess("auto", None)
    with pytest.raises(TypeError, match="'auto', a dict or a TextPreprocess"):
        resolve_text_preprocess(len, preprocess)


def test_rows_are_tokenised_when_they_are_read(preprocess):
    rows = TextRows(TEXTS, preprocess)
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (4, (4,), 1, np.int64)
    for key, texts in ((slice(1, 3), TEXTS[1:3]), (np.array([3, 0]), [TEXTS[3], TEXTS[0]])):
        for name, ids in preprocess(texts).items():
            assert torch.equal(rows[key][name], ids)


def test_nbytes_is_what_all_rows_take(preprocess):
    for variant in (preprocess, replace(preprocess, token_type_ids=False, max_length=5)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = TextRows(TEXTS, variant)
            assert rows.nbytes == sum(ids.nbytes for ids in rows[:].values())


def test_batches_hold_texts_of_like_length_and_every_row_once(preprocess):
    rng = np.random.default_rng(0)
    texts = ["it " * n for n in rng.integers(0, 60, 50)]
    rows = TextRows(texts, preprocess)
    batches = list(rows.length_sorted_batches(8))
    assert [len(batch) for batch in batches] == [8] * 6 + [2]
    assert sorted(np.concatenate(batches)) == list(range(50))
    assert (np.diff(rows.lengths[np.concatenate(batches)]) <= 0).all()
    n_padded = sum(rows[batch]["input_ids"].numel() for batch in batches)
    assert n_padded < 1.2 * rows.lengths.sum() < 50 * rows.lengths.max()


def test_lengths_of_rows_are_those_after_the_cut_and_warn_once(preprocess):
    rows = TextRows(TEXTS, replace(preprocess, max_length=5))
    with pytest.warns(UserWarning, match="1 of 4 texts") as record:
        assert rows.lengths.tolist() == [5, 2, 4, 5]
        rows[:]
        list(rows.length_sorted_batches(2))
    assert len(record) == 1


def test_rows_that_are_cut_warn_at_the_first_batch_with_such(preprocess):
    rows = TextRows([*TEXTS, TEXTS[-1]], replace(preprocess, max_length=5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows[:2]  # the first one has just 5 tokens
    with pytest.warns(UserWarning, match="1 of 3 texts") as record:
        rows[1:4]
        rows[4:]
    assert len(record) == 1


def test_pickled_rows_read_the_same(preprocess):
    rows = TextRows(TEXTS, preprocess)
    loaded = pickle.loads(pickle.dumps(rows))
    assert torch.equal(loaded[1:]["input_ids"], rows[1:]["input_ids"])
