"""From texts to the input of a network."""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skda.text._reading import check_texts

_TEXTS_AT_A_TIME = 1000  # whose tokens are in memory when only their number is wanted
# What a tokenizer says whose files do not name a limit is 1e30.
_NO_LIMIT = 10**9


@dataclass(frozen=True, kw_only=True)
class TextPreprocess:
    """From texts to the input of a network: split into tokens, cut, and padded to one length.

    Padding is at the end, whatever side the tokenizer has: so the positions of tokens are those
    of the text alone.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        The network's own.

    max_length : int, default=None
        Tokens after which a text is cut, those that the tokenizer adds included. None is the most
        that the network can take, or what it was trained with.

    longest : int, default=None
        The most tokens that the network can take. None is what the tokenizer says, and no limit if
        it says nothing.

    prompt : str, default=""
        Put in front of every text.

    token_type_ids : bool, default=None
        Whether the network takes ``"token_type_ids"`` beside ``"input_ids"`` and
        ``"attention_mask"``; None is what the tokenizer says.

    Raises
    ------
    ValueError
        If a value is none of these.

    Examples
    --------
    >>> from transformers import BertTokenizer  # doctest: +SKIP
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "cuts", "well"]
    >>> tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    ... # doctest: +SKIP
    >>> TextPreprocess(tokenizer=tokenizer)(["It cuts", ""])["input_ids"]  # doctest: +SKIP
    tensor([[2, 5, 6, 3],
            [2, 3, 0, 0]])
    """

    tokenizer: Any
    max_length: int | None = None
    longest: int | None = None
    prompt: str = ""
    token_type_ids: bool | None = None

    def __post_init__(self):
        says = self.tokenizer.model_max_length
        longest = self.longest or (says if says < _NO_LIMIT else None)
        max_length: Any = longest if self.max_length is None else self.max_length
        types = self.token_type_ids
        if types is None:
            types = "token_type_ids" in self.tokenizer.model_input_names
        object.__setattr__(self, "longest", longest)
        object.__setattr__(self, "max_length", max_length)
        object.__setattr__(self, "token_type_ids", types)
        added = self.tokenizer.num_special_tokens_to_add()
        fits = isinstance(max_length, Integral) and added < max_length <= (longest or max_length)
        if max_length is not None and not fits:
            most = "" if longest is None else f" and at most {longest}, all that the network takes"
            raise ValueError(
                f"preprocess: max_length must be an int of more than {added}, the tokens that are "
                f"added to every text{most}; got {max_length!r}."
            )

    def __call__(self, texts: Iterable[str]) -> dict[str, torch.Tensor]:
        """Return the input of the network, with a warning if texts were cut.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        inputs : dict of str to torch.Tensor of shape (n_texts, n_tokens)
            By the names of the network's inputs, in int64, padded to the longest of these texts.

        Raises
        ------
        TypeError
            If an item is no text.
        """
        texts = check_texts(texts)
        inputs = self.encode(texts)
        if self.is_full(inputs):
            self.warn_of_cuts(self.lengths(texts))
        return inputs

    def encode(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Return the same without checks and warnings, for texts that were seen before.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        inputs : dict of str to torch.Tensor of shape (n_texts, n_tokens)
            The inputs.
        """
        tokens = self._tokens(texts, cut=True)
        rows = [ids or [self._token_of_nothing()] for ids in tokens["input_ids"]]
        n_tokens = np.array([len(row) for row in rows], dtype=np.int64)
        # Not with the tokenizer's own padding, which some have on the left and some not at all.
        mask = np.arange(n_tokens.max(initial=1)) < n_tokens[:, None]
        ids = np.full(mask.shape, self.tokenizer.pad_token_id or 0, dtype=np.int64)
        ids[mask] = [token for row in rows for token in row]
        inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self.token_type_ids:
            types = inputs["token_type_ids"] = np.zeros_like(ids)
            types[mask] = [t for row in tokens["token_type_ids"] for t in row or [0]]
        return {name: torch.from_numpy(array) for name, array in inputs.items()}

    def is_full(self, inputs: dict[str, torch.Tensor]) -> bool:
        """Return whether one of these inputs has `max_length` tokens, and so may have been cut.

        Parameters
        ----------
        inputs : dict of str to torch.Tensor of shape (n_texts, n_tokens)
            As `encode` returns them.

        Returns
        -------
        is_full : bool
            False if none was cut.
        """
        return inputs["input_ids"].shape[1] == self.max_length

    def lengths(self, texts: list[str]) -> np.ndarray:
        """Return how many tokens texts have before they are cut.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        lengths : ndarray of int64 of shape (n_texts,)
            With `prompt` and the tokens that are added to every text.
        """
        counts: list[int] = []
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            tokens = self._tokens(texts[start : start + _TEXTS_AT_A_TIME], cut=False)
            counts += [len(ids) for ids in tokens["input_ids"]]
        return np.maximum(np.asarray(counts, dtype=np.int64), 1)

    def warn_of_cuts(self, lengths: np.ndarray) -> bool:
        """Warn if texts are longer than `max_length`.

        Parameters
        ----------
        lengths : ndarray of int of shape (n_texts,)
            Of the texts before they are cut.

        Returns
        -------
        has_warned : bool
            Whether there are such texts.

        Warns
        -----
        UserWarning
            With their number, and with what can be done.
        """
        if self.max_length is None or not (lengths > self.max_length).any():
            return False
        raisable = self.longest is None or self.max_length < self.longest
        remedy = (
            f"raise it with preprocess=dict(max_length={self._raised(lengths)}), split the texts"
            if raisable
            else "the network takes no more; split the texts, summarise them"
        )
        warnings.warn(
            f"{(lengths > self.max_length).sum()} of {len(lengths)} texts have more than "
            f"max_length={self.max_length} tokens (the longest has {lengths.max()}), and what "
            f"follows is not read: {remedy}, or ignore this warning if their beginnings suffice.",
            UserWarning,
            stacklevel=3,
        )
        return True

    def fingerprint(self) -> bytes:
        """Return what tells this preprocessing from others, the same in every process.

        Returns
        -------
        fingerprint : bytes
            Of length 16; equal for equal tokenizers with equal settings.
        """
        tokenizer = self.tokenizer
        if tokenizer.is_fast:
            content = json.loads(tokenizer.backend_tokenizer.to_str())
            # Left by the last call.
            content = {k: v for k, v in content.items() if k not in ("truncation", "padding")}
        else:
            content = sorted(tokenizer.get_vocab().items())
        settings = [getattr(self, f.name) for f in fields(self) if f.name != "tokenizer"]
        kept = type(tokenizer).__name__, tokenizer.truncation_side, tokenizer.pad_token_id
        text = json.dumps([content, kept, settings], sort_keys=True)
        return blake2b(text.encode(), digest_size=16).digest()

    def _raised(self, lengths):
        return int(min(lengths.max(), self.longest or lengths.max()))

    def _tokens(self, texts, *, cut):
        if not texts:  # of which a tokenizer would ask the first
            return {"input_ids": [], "token_type_ids": []}
        return self.tokenizer(
            [self.prompt + text for text in texts],
            truncation=cut and self.max_length is not None,
            max_length=self.max_length if cut else None,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=self.token_type_ids,
            verbose=False,  # it would speak of every long text, cut or not
        )

    def _token_of_nothing(self):
        """The token that stands for an empty text where the tokenizer adds none to it."""
        for name in ("eos", "bos", "unk", "pad"):
            token = getattr(self.tokenizer, f"{name}_token_id")
            if token is not None:
                return token
        raise ValueError(
            "A text is empty, and the tokenizer has no token for that; drop the row, or replace "
            "the text with a word such as 'nothing'."
        )


def resolve_text_preprocess(preprocess: Any, own: TextPreprocess | None) -> Any:
    """Return what the parameter ``preprocess`` of an estimator stands for before a text network.

    Parameters
    ----------
    preprocess : {"auto"}, dict or TextPreprocess
        ``"auto"`` is the network's own, a dict changes entries of it, such as
        ``dict(max_length=128)``; a :class:`TextPreprocess` takes its place.

    own : TextPreprocess or None
        The network's own, if it has one.

    Returns
    -------
    preprocess : TextPreprocess
        What becomes of texts.

    Raises
    ------
    ValueError
        If the dict has entries or values that do not exist, or if there is no tokenizer.

    TypeError
        If it is none of these.
    """
    if isinstance(preprocess, TextPreprocess):
        return preprocess
    if not isinstance(preprocess, str | Mapping):
        raise TypeError(
            "preprocess must be 'auto', a dict or a TextPreprocess of skda.text before a text "
            f"network, got {type(preprocess).__name__}."
        )
    if own is None:
        raise ValueError(
            "preprocess: this module has no tokenizer of its own; pass "
            "preprocess=TextPreprocess(tokenizer=...) of skda.text with the one that it was "
            "trained with."
        )
    if isinstance(preprocess, str):
        return own
    known = [entry.name for entry in fields(TextPreprocess)]
    for name in preprocess:
        if name not in known:
            raise ValueError(
                f"preprocess has no entry {name!r}; the entries for texts are {', '.join(known)}."
            )
    return replace(own, **preprocess)
