"""Language networks by name: loading, pooling, padding, weights, and a hub on this machine."""

import json
import pickle
import re
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from skda.backbones import (
    SentenceModule,
    TextModule,
    is_language_config,
    make_language_backbone,
    pool_tokens,
)

transformers = pytest.importorskip("transformers")

TEXTS = ["it cuts well", "", "it broke", "it cuts well and then it broke"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["it", "cuts", "well", "broke", "and", "then", "<end>"]
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 20,
}
make_transformers = partial(make_language_backbone, "transformers")
make_sentence = partial(make_language_backbone, "sentence-transformers")


def save_model(folder, config, model_class=None, **tokenizer):
    """Save a random network and a tokenizer of words."""
    torch.manual_seed(0)
    model = (model_class or transformers.AutoModel).from_config(config)
    for parameter in model.parameters():  # the usual weights are so small that features are alike
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    vocab = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizer(vocab=vocab, **tokenizer).save_pretrained(folder)
    return model


def save_decoder(folder, **config):
    """Save a decoder, with a tokenizer that adds nothing and has no padding."""
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    config = {"vocab_size": 12, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 20} | config
    transformers.GPT2Model(transformers.GPT2Config(**config)).save_pretrained(folder)
    vocab = {word: number for number, word in enumerate(WORDS)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", padding_side="left"
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save_model(folder, transformers.BertConfig(**SMALL, max_position_embeddings=24))
    return str(folder)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    save_decoder(folder)
    return str(folder)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory, bert):
    """A network of sentence-transformers that pools, projects and normalises."""
    st = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    torch.manual_seed(0)
    first = modules.Transformer(bert, max_seq_length=6)
    parts = [first, modules.Pooling(16, "cls"), modules.Dense(16, 8), modules.Normalize()]
    model = st.SentenceTransformer(modules=parts, device="cpu")
    folder = tmp_path_factory.mktemp("sentences")
    model.save_pretrained(str(folder))
    return str(folder)


def features(module, inputs):
    with torch.inference_mode():
        return module.eval()(**inputs)


def test_mean_of_hidden_states_of_the_stored_weights(bert):
    module, preprocess = make_transformers(bert, "pretrained", {})
    model = transformers.AutoModel.from_pretrained(bert).eval()
    for text, row in zip(TEXTS, features(module, preprocess(TEXTS)), strict=True):
        inputs = preprocess.tokenizer([text], return_tensors="pt")
        hidden = model(**inputs).last_hidden_state[0]
        torch.testing.assert_close(row, hidden.mean(0), atol=1e-5, rtol=0)
    assert isinstance(module, TextModule) and module.pooling == "mean"


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "t5"])
def test_padding_does_not_change_features(tmp_path, family, pooling):
    config = {
        "bert": transformers.BertConfig(**SMALL),
        "roberta": transformers.RobertaConfig(**SMALL, max_position_embeddings=24, pad_token_id=0),
        "distilbert": transformers.DistilBertConfig(
            vocab_size=12, dim=16, n_layers=1, n_heads=2, hidden_dim=20
        ),
        "t5": transformers.T5Config(
            vocab_size=12, d_model=16, d_kv=8, d_ff=20, num_layers=1, num_heads=2
        ),
    }[family]
    save_model(tmp_path, config)
    module, preprocess = make_transformers(str(tmp_path), "pretrained", {"pooling": pooling})
    together = features(module, preprocess(TEXTS))
    alone = torch.cat([features(module, preprocess([text])) for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert together.shape == (4, 16) and (together[0] - together[3]).abs().max() > 1e-3


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_padding_does_not_change_features_of_a_decoder(decoder, pooling):
    module, preprocess = make_transformers(decoder, "pretrained", {"pooling": pooling})
    together = features(module, preprocess(TEXTS))
    alone = torch.cat([features(module, preprocess([text])) for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert preprocess.tokenizer.pad_token is None  # left as it was


def test_the_first_token_of_a_decoder_is_refused(decoder):
    with pytest.raises(ValueError, match=r"reads from left to right.* use 'last' or 'mean'"):
        make_transformers(decoder, "pretrained", {"pooling": "cls"})


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_pooling_leaves_out_padding_on_either_side(pooling):
    tokens = torch.randn(1, 3, 5)
    own = pool_tokens(tokens, None, pooling)
    for pad in ((0, 0, 2, 0), (0, 0, 0, 2)):
        mask = torch.nn.functional.pad(torch.ones(1, 3, dtype=torch.int64), pad[2:])
        padded = torch.nn.functional.pad(tokens, pad, value=9)
        torch.testing.assert_close(pool_tokens(padded, mask, pooling), own)


def test_the_first_and_the_last_token_are_those():
    tokens, mask = torch.arange(4.0).reshape(1, 4, 1), torch.tensor([[0, 1, 1, 0]])
    assert pool_tokens(tokens, mask, "cls").item() == 1
    assert pool_tokens(tokens, mask, "last").item() == 2


def test_token_types_are_for_networks_that_take_them(bert, tmp_path):
    config = {"vocab_size": 12, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 20}
    save_model(tmp_path, transformers.DistilBertConfig(**config))
    for folder, takes in ((bert, True), (str(tmp_path), False)):
        assert make_transformers(folder, "pretrained", {})[1].token_type_ids is takes


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooling_of_no_tokens_is_zero(pooling):
    mask = torch.zeros(1, 3, dtype=torch.int64)
    assert not pool_tokens(torch.full((1, 3, 5), torch.nan), mask, pooling).any()


def test_unknown_pooling_names_the_parameter(bert):
    with pytest.raises(ValueError, match=r"module__pooling must be one of .* got 'avg'"):
        make_transformers(bert, "pretrained", {"pooling": "avg"})


def test_without_weights_those_of_torchs_generator(bert):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(make_transformers(bert, None, {})[0].state_dict())
    name = "model.encoder.layer.0.output.dense.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_weights_of_a_file_or_mapping(bert, tmp_path):
    torch.manual_seed(5)
    state = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(bert))
    state = state.state_dict()
    torch.save(state, tmp_path / "weights.pt")
    for weights in (state, tmp_path / "weights.pt"):
        module, _ = make_transformers(bert, weights, {})
        key = "encoder.layer.0.output.dense.weight"
        assert torch.equal(module.model.state_dict()[key], state[key])
    with pytest.raises(ValueError, match="weights: the mapping holds no state dict"):
        make_transformers(bert, {}, {})
    with pytest.raises(ValueError, match="weights_sha256"):
        make_transformers(bert, tmp_path / "weights.pt", {}, sha256="00")


def test_stored_weights_that_are_incomplete_are_refused(tmp_path):
    model = save_model(tmp_path, transformers.BertConfig(**SMALL))
    state = model.state_dict()
    del state["encoder.layer.0.output.dense.weight"]
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"lack 1 of the network's, such as 'encoder.layer.0"):
        make_transformers(str(tmp_path), "pretrained", {})


def test_weights_of_a_network_with_a_head_are_taken(tmp_path):
    config = transformers.BertConfig(**SMALL)
    model = save_model(tmp_path, config, transformers.AutoModelForMaskedLM)
    module, _ = make_transformers(str(tmp_path), "pretrained", {})
    key = "encoder.layer.0.output.dense.weight"
    assert torch.equal(module.model.state_dict()[key], model.bert.state_dict()[key])


def test_stored_half_precision_becomes_single(tmp_path):
    model = save_model(tmp_path, transformers.BertConfig(**SMALL))
    model.half().save_pretrained(tmp_path)
    parameters = make_transformers(str(tmp_path), "pretrained", {})[0].parameters()
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    module, _ = make_transformers(str(tmp_path), "pretrained", {"dtype": torch.bfloat16})
    assert next(module.parameters()).dtype == torch.bfloat16


def test_keywords_change_the_configuration(bert):
    module, _ = make_transformers(bert, None, {"num_hidden_layers": 3})
    assert len(module.model.encoder.layer) == 3
    with pytest.raises(TypeError, match="module__n_layers: neither the hub nor BertConfig"):
        make_transformers(bert, None, {"n_layers": 3})


def test_every_parameter_has_a_part_in_the_features(bert):
    module, preprocess = make_transformers(bert, "pretrained", {})
    module(**preprocess(TEXTS)).sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("config", "tokenizer", "wanted"),
    [
        (transformers.BertConfig(**SMALL, max_position_embeddings=24), {}, (24, 24)),
        (
            transformers.BertConfig(**SMALL, max_position_embeddings=24),
            {"model_max_length": 10},
            (10, 24),
        ),
        (
            # The positions of RoBERTa begin after that of padding.
            transformers.RobertaConfig(**SMALL, max_position_embeddings=24, pad_token_id=1),
            {"model_max_length": 512},
            (22, 22),
        ),
        (
            transformers.T5Config(
                vocab_size=12, d_model=16, d_kv=8, d_ff=20, num_layers=1, num_heads=2
            ),
            {},
            (None, None),
        ),
    ],
)
def test_the_longest_text_is_what_the_network_takes(tmp_path, config, tokenizer, wanted):
    save_model(tmp_path, config, **tokenizer)
    module, preprocess = make_transformers(str(tmp_path), "pretrained", {})
    assert (preprocess.max_length, preprocess.longest) == wanted
    features(module, preprocess.encode(["it " * 40]))  # is an IndexError if it is too long


def test_a_tokenizer_of_another_network_is_refused(tmp_path):
    save_model(tmp_path, transformers.BertConfig(**{**SMALL, "vocab_size": 7}))
    with pytest.raises(ValueError, match="tokenizer has 12 tokens, but the network knows 7"):
        make_transformers(str(tmp_path), "pretrained", {})


def test_networks_for_other_things_are_refused(tmp_path):
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    config.save_pretrained(tmp_path)
    assert not is_language_config(config) and not is_language_config(transformers.CLIPConfig())
    assert is_language_config(transformers.BertConfig())
    with pytest.raises(ValueError, match="is a vit, no network for texts alone"):
        make_transformers(str(tmp_path), None, {})


def test_code_of_a_folder_is_not_run(bert, tmp_path):
    config = json.loads((Path(bert) / "config.json").read_text()) | {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ValueError, match="code in it is not run: build such a network yourself"):
        make_transformers(str(tmp_path), "pretrained", {})


def test_a_missing_folder_and_an_empty_one_are_errors(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        make_transformers(str(tmp_path / "nothing"), "pretrained", {})
    with pytest.raises(ValueError, match=r"module: transformers/.* cannot be loaded"):
        make_transformers(str(tmp_path), "pretrained", {})


@pytest.mark.parametrize("make", ["transformers", "sentence-transformers"])
def test_pickled_networks_are_the_same(request, make):
    folder = request.getfixturevalue("bert" if make == "transformers" else "sentences")
    module, preprocess = make_language_backbone(make, folder, "pretrained", {})
    inputs = preprocess.encode(TEXTS)
    loaded = pickle.loads(pickle.dumps(module))
    assert torch.equal(features(loaded, inputs), features(module, inputs))


@pytest.mark.parametrize("prompt", [None, "then "])
def test_sentences_have_the_features_of_encode(sentences, prompt):
    st = pytest.importorskip("sentence_transformers")
    model = st.SentenceTransformer(sentences, device="cpu")
    folder = sentences
    if prompt:
        model.prompts["ask"], model.default_prompt_name = prompt, "ask"
        folder = f"{sentences}-prompted"
        model.save_pretrained(folder)
    module, preprocess = make_sentence(folder, "pretrained", {})
    assert isinstance(module, SentenceModule)
    wanted = model.encode(TEXTS)
    with pytest.warns(UserWarning, match="max_length=6"):
        found = features(module, preprocess(TEXTS))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.shape == (4, 8) and preprocess.longest == 24


def test_random_sentences_have_other_weights_throughout(sentences):
    stored = make_sentence(sentences, "pretrained", {})[0].state_dict()
    states = []
    for seed in (0, 0):
        torch.manual_seed(seed)
        states.append(make_sentence(sentences, None, {})[0].state_dict())
    for name, value in stored.items():
        assert torch.equal(states[0][name], states[1][name])
        if value.ndim > 1:
            assert not torch.equal(value, states[0][name]), name


def test_sentences_learn(sentences):
    module, preprocess = make_sentence(sentences, "pretrained", {})
    module.train()(**preprocess.encode(TEXTS)).square().sum().backward()
    assert module.model[0].model.encoder.layer[0].output.dense.weight.grad.abs().sum() > 0


def test_sentences_are_taken_as_they_are_stored(sentences, bert):
    with pytest.raises(TypeError, match=r"module__pooling: .* taken as it is stored"):
        make_sentence(sentences, "pretrained", {"pooling": "mean"})
    with pytest.raises(ValueError, match="holds no network of sentence-transformers"):
        make_sentence(bert, "pretrained", {})


def test_sentences_that_leave_out_their_prompt_are_refused(sentences):
    st = pytest.importorskip("sentence_transformers")
    model = st.SentenceTransformer(sentences, device="cpu", prompts={"ask": "then "})
    model.default_prompt_name, model[1].include_prompt = "ask", False
    with pytest.raises(ValueError, match="its pooling leaves out its prompt; compute its features"):
        SentenceModule(model)


def test_words_without_a_transformer_are_refused():
    st = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    words = modules.BoW(vocab=["it", "broke"])
    with pytest.raises(ValueError, match="begins with a BoW, no Transformer"):
        SentenceModule(st.SentenceTransformer(modules=[words], device="cpu"))


class Hub(BaseHTTPRequestHandler):
    """The part of the hub that downloads need, for the folder tiny/bert."""

    folder, asked = Path(), []

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = self.path.partition("?")[0]
        if self.command == "GET":
            self.asked.append(path)
        commit = "0" * 39 + "1"
        names = [file.name for file in self.folder.iterdir()]
        names += ["onnx/model.onnx", "onnx/config.json", "pytorch_model.bin"]
        if re.match(r"/api/models/tiny/bert(/revision/.*)?$", path):
            files = [{"rfilename": name} for name in names]
            return self.send_json({"id": "tiny/bert", "sha": commit, "siblings": files})
        if path.startswith("/api/models/tiny/bert/tree/"):
            return self.send_json([{"type": "file", "path": n, "size": 1, "oid": n} for n in names])
        if match := re.match(r"/tiny/bert/resolve/[^/]+/(.*)$", path):
            body = (self.folder / match[1]).read_bytes()
            headers = {"ETag": f'"{match[1]}-{len(body)}"', "X-Repo-Commit": commit}
            return self.send(200, body, headers)
        return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def send_json(self, content):
        self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def send(self, status, body, headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(bert):
    handler = type("BertHub", (Hub,), {"folder": Path(bert), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def load_from(monkeypatch, tmp_path):
    """From an endpoint and a name to the features of a text."""
    constants = pytest.importorskip("huggingface_hub").constants
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{")[2]

    def load(endpoint, name="tiny/bert", weights="pretrained"):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{{template}")
        keywords = {"cache_dir": str(tmp_path)}
        module, preprocess = make_transformers(name, weights, keywords)
        return features(module, preprocess(["it broke"]))

    return load


NOBODY = "http://127.0.0.1:9"


def test_networks_of_the_hub_are_downloaded_once(hub, load_from, bert, capfd):
    endpoint, asked = hub
    first = load_from(endpoint)
    module, preprocess = make_transformers(bert, "pretrained", {})
    assert torch.equal(first, features(module, preprocess(["it broke"])))
    downloads = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= downloads
    assert not downloads & {"pytorch_model.bin", "model.onnx"}
    asked.clear()
    capfd.readouterr()
    assert torch.equal(load_from(endpoint), first)
    assert capfd.readouterr().err == ""
    assert not [path for path in asked if "/resolve/" in path]
    assert torch.equal(load_from(NOBODY), first)


def test_weights_are_downloaded_when_they_are_needed(hub, load_from):
    endpoint, asked = hub
    load_from(endpoint, weights=None)
    assert not [path for path in asked if path.endswith("model.safetensors")]
    with pytest.raises(ValueError, match="not downloaded as a whole"):
        load_from(NOBODY)
    load_from(endpoint)
    assert [path for path in asked if path.endswith("model.safetensors")]


def test_a_hub_out_of_reach_is_told_of_at_once(load_from):
    start = time.perf_counter()
    with pytest.raises(ValueError, match="'tiny/bert' was not downloaded as a whole before"):
        load_from(NOBODY)
    assert time.perf_counter() - start < 5


def test_a_network_that_the_hub_lacks_names_the_parameter(hub, load_from):
    with pytest.raises(ValueError, match="module: the hub has no network 'tiny/nothing' that you"):
        load_from(hub[0], "tiny/nothing")


def test_names_that_the_hub_cannot_have_are_errors():
    with pytest.raises(ValueError, match="neither a folder nor a name on the hub, OWNER/NAME"):
        make_transformers("a name", "pretrained", {})


def test_progress_bars_are_left_as_they_were(bert, capfd):
    logging = transformers.utils.logging
    was = logging.is_progress_bar_enabled()
    start = time.perf_counter()
    make_transformers(bert, "pretrained", {})
    assert logging.is_progress_bar_enabled() == was and time.perf_counter() - start < 20
    assert "Loading weights" not in capfd.readouterr().err
