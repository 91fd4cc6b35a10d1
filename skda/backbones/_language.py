"""Language networks by the name that a library gives them."""

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skda._optional import import_optional
from skda.backbones._hub_folders import hub_folder, split_hub_keywords
from skda.backbones._text_modules import SentenceModule, TextModule
from skda.backbones._weights import load_weights
from skda.text import TextPreprocess

# For the constructor, not for the configuration.
_MODEL_KEYWORDS = ("dtype", "attn_implementation")


def make_language_backbone(
    library: str,
    name: str,
    weights: Any,
    keywords: Mapping[str, Any],
    *,
    sha256: str | None = None,
) -> tuple[nn.Module, TextPreprocess]:
    """Build a network from texts to features.

    Parameters
    ----------
    library : {"transformers", "sentence-transformers"}
        Whose network it is.

    name : str
        A folder, or ``"OWNER/NAME"`` on the hub. Networks of sentence-transformers without owner
        are those of the library's authors.

    weights : "pretrained", None, str, path or mapping
        The stored weights, random ones, or a file or state dict: of ``AutoModel`` or
        ``SentenceTransformer``.

    keywords : dict
        ``revision``, ``token`` and ``cache_dir`` for the hub; ``dtype`` and
        ``attn_implementation``; and for transformers ``pooling`` (``"mean"``, ``"cls"``,
        ``"max"`` or ``"last"``) and entries of the configuration, such as
        ``attention_dropout=0``.

    sha256 : str, default=None
        Of the file of weights, in hexadecimal.

    Returns
    -------
    module : TextModule or SentenceModule
        From tokens to one row of features per text, on the CPU.

    preprocess : skda.text.TextPreprocess
        From texts to tokens.

    Raises
    ------
    ValueError
        If there is no such network, if it takes no texts, or if the weights do not fit it.

    TypeError
        If it does not take a keyword.

    ImportError
        If the library is not installed.
    """
    for_hub, for_network = split_hub_keywords(keywords)
    import_optional(library.replace("-", "_"), "transformers")
    if library == "sentence-transformers" and "/" not in name:
        name = f"{library}/{name}"
    # A SentenceTransformer is made together with its weights, needed or not.
    with_weights = weights == "pretrained" or library == "sentence-transformers"
    folder = hub_folder(name, "transformers", with_weights=with_weights, **for_hub)
    with _named_errors(f"{library}/{name}"), _no_progress_bars():
        return _LIBRARIES[library](name, folder, weights, for_network, sha256)


def find_language(backbone: str, keywords: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the library and the name of a network for texts.

    Parameters
    ----------
    backbone : str
        ``"transformers/NAME"``, ``"sentence-transformers/NAME"``, or the path of a folder that one
        of them has saved.

    keywords : dict
        Those given as ``module__*``.

    Returns
    -------
    found : tuple of str, or None
        None if the network is of another library, or takes no texts.
    """
    library, _, name = backbone.partition("/")
    folder = Path(backbone).expanduser()
    if (folder / "modules.json").is_file():
        library, name = "sentence-transformers", str(folder)
    elif _is_of_transformers(folder / "config.json"):
        library, name = "transformers", str(folder)
    if library == "sentence-transformers" and name:
        return library, name
    if library != "transformers" or not name:
        return None
    transformers = import_optional("transformers", "transformers")
    for_hub, _ = split_hub_keywords(keywords)
    folder = hub_folder(name, "transformers", with_weights=False, **for_hub)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError):  # of timm's folders, too
        return None
    return (library, name) if is_language_config(config) else None


def _is_of_transformers(path):
    try:
        return "model_type" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def is_language_config(config: Any) -> bool:
    """Return whether the network of a configuration takes texts and nothing else.

    Parameters
    ----------
    config : transformers.PretrainedConfig
        As ``AutoConfig.from_pretrained`` returns it.

    Returns
    -------
    is_language : bool
        False for images, sound, and for several of them.
    """
    transformers = import_optional("transformers", "transformers")
    if type(config) not in transformers.MODEL_MAPPING:
        return False
    model = transformers.MODEL_MAPPING[type(config)]
    model = model[0] if isinstance(model, tuple) else model
    return model.input_modalities in ("text", ("text",))


def _make_transformers(name, folder, weights, keywords, sha256):
    transformers = import_optional("transformers", "transformers")
    keywords = dict(keywords)
    pooling = keywords.pop("pooling", "mean")
    options = {"dtype": torch.float32}
    options.update({key: keywords.pop(key) for key in _MODEL_KEYWORDS if key in keywords})
    config, unknown = transformers.AutoConfig.from_pretrained(
        folder, return_unused_kwargs=True, trust_remote_code=False, **keywords
    )
    if unknown:
        raise TypeError(
            f"module__{min(unknown)}: neither the hub nor {type(config).__name__} knows "
            f"{min(unknown)!r}; valid are module__pooling, module__revision and the entries of "
            "the configuration."
        )
    if not is_language_config(config):
        raise ValueError(
            f"module: transformers/{name} is a {config.model_type}, no network for texts alone."
        )
    # It would keep all keys and values of a decoder for a next word that never comes.
    config.use_cache = False
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if weights == "pretrained":
        model = _pretrained(transformers, name, folder, config, options)
    else:
        model = transformers.AutoModel.from_config(config, **options)
    if weights not in ("pretrained", None):
        load_weights(model, weights, sha256=sha256)
    model = model.get_encoder() if config.is_encoder_decoder else model
    if "add_pooling_layer" in inspect.signature(type(model).__init__).parameters:
        model.pooler = None  # a layer after the first token that no feature needs
    return TextModule(model, pooling), _preprocess_of(model, tokenizer)


def _pretrained(transformers, name, folder, config, options):
    model, report = transformers.AutoModel.from_pretrained(
        folder, config=config, output_loading_info=True, trust_remote_code=False, **options
    )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ValueError(
            f"weights: those of transformers/{name} lack {len(missing)} of the network's, such as "
            f"{missing[0]!r}, which would be random; take another network, or weights=None for "
            "random weights throughout."
        )
    return model


def _make_sentence_transformers(name, folder, weights, keywords, sha256):
    st = import_optional("sentence_transformers", "transformers")
    unknown = sorted(set(keywords) - set(_MODEL_KEYWORDS))
    if unknown:
        raise TypeError(
            f"module__{unknown[0]}: a network of sentence-transformers is taken as it is stored, "
            f"pooling included; valid are {', '.join(f'module__{k}' for k in _MODEL_KEYWORDS)} "
            "and module__revision."
        )
    # Without it the library takes the mean of any network, and says so in its log alone.
    if not Path(folder, "modules.json").is_file():
        raise ValueError(
            f"module: {name!r} holds no network of sentence-transformers (no modules.json); take "
            f"it as 'transformers/{name}'."
        )
    options = {"dtype": torch.float32, **keywords}
    model = st.SentenceTransformer(
        folder, device="cpu", local_files_only=True, trust_remote_code=False, model_kwargs=options
    )
    module = SentenceModule(model)
    if weights is None:
        module.reset_parameters()
    elif weights != "pretrained":
        load_weights(model, weights, sha256=sha256)
    first = model[0]
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    return module, _preprocess_of(
        first.model, first.tokenizer, prompt=prompt or "", max_length=first.max_seq_length
    )


def _preprocess_of(model, tokenizer, *, prompt="", max_length=None):
    """Return the preprocessing of a network, and check that it knows all tokens."""
    n_known = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > n_known:
        raise ValueError(
            f"module: the tokenizer has {len(tokenizer)} tokens, but the network knows {n_known}; "
            "the folder holds the files of different networks."
        )
    longest, usual = _longest_input(model), max_length or tokenizer.model_max_length
    return TextPreprocess(
        tokenizer=tokenizer,
        max_length=min(longest, usual) if longest else max_length,
        longest=longest,
        prompt=prompt,
        token_type_ids="token_type_ids" in tokenizer.model_input_names
        and "token_type_ids" in inspect.signature(model.forward).parameters,
    )


def _longest_input(model):
    """Return how many positions a network has, and None if there is no limit."""
    n_positions = getattr(model.config, "max_position_embeddings", None)
    if n_positions is None or n_positions < 1:
        return None
    for name, table in model.named_modules():
        # RoBERTa's positions begin after that of padding.
        if name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None:
            return n_positions - table.padding_idx - 1
    return n_positions


@contextmanager
def _named_errors(backbone: str) -> Iterator[None]:
    """Tell which parameter of the estimator a library complains about."""
    try:
        yield
    except (OSError, KeyError, RuntimeError, ImportError, ValueError) as error:
        if str(error).startswith(("module", "weights", "preprocess")):
            raise
        raise ValueError(
            f"module: {backbone} cannot be loaded ({type(error).__name__}: {error}). A folder "
            "must hold the files of the network and of its tokenizer; code in it is not run: "
            "build such a network yourself, and pass it and a TextPreprocess with its tokenizer."
        ) from error


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    logging = import_optional("transformers.utils.logging", "transformers")
    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


_LIBRARIES = {
    "transformers": _make_transformers,
    "sentence-transformers": _make_sentence_transformers,
}
