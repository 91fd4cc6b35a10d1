"""Tokenizers of the library tokenizers, which are JSON by themselves."""

from typing import Any

from skda._optional import import_optional

_OF_A_TOKEN = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


def describe_tokens(item: Any) -> dict[str, Any] | None:
    """Return what is stored of a tokenizer or of a token that was added to one; None of others."""
    if not type(item).__module__.startswith("tokenizers"):
        return None
    if type(item).__name__ == "Tokenizer":
        return {"is": "tokenizer", "json": item.to_str()}
    if type(item).__name__ == "AddedToken":
        return {"is": "token", **{name: getattr(item, name) for name in _OF_A_TOKEN}}
    return None


def make_tokens(node: dict[str, Any]) -> Any:
    """Return the tokenizer or token of a node."""
    tokenizers = import_optional("tokenizers", "transformers")
    if node["is"] == "tokenizer":
        return tokenizers.Tokenizer.from_str(node["json"])
    return tokenizers.AddedToken(**{name: node[name] for name in _OF_A_TOKEN})
