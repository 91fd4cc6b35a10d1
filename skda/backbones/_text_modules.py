"""Networks from tokens to one row of features per text."""

from typing import Any

import torch
from torch import nn

from skda._optional import import_optional

TOKEN_POOLINGS = ("mean", "cls", "max", "last")


def pool_tokens(
    tokens: torch.Tensor, attention_mask: torch.Tensor | None, pooling: str = "mean"
) -> torch.Tensor:
    """Return one row per text from those of its tokens, without those of padding.

    Parameters
    ----------
    tokens : torch.Tensor of shape (n_texts, n_tokens, n_channels)
        Activations.

    attention_mask : torch.Tensor of shape (n_texts, n_tokens), or None
        1 for tokens and 0 for padding, on whichever side; None pads nothing.

    pooling : {"mean", "cls", "max", "last"}, default="mean"
        The mean or the maximum over tokens, or the first or last token.

    Returns
    -------
    features : torch.Tensor of shape (n_texts, n_channels)
        Zeros for texts without tokens, but for ``"cls"`` and ``"last"``.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones import pool_tokens
    >>> tokens, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])
    >>> [pool_tokens(tokens, mask, pooling).item() for pooling in ("mean", "max", "last")]
    [2.0, 3.0, 3.0]
    """
    if attention_mask is None:
        attention_mask = torch.ones(tokens.shape[:2], dtype=torch.int64, device=tokens.device)
    is_token = attention_mask.bool()[..., None]
    if pooling == "mean":
        return tokens.where(is_token, 0).sum(1) / is_token.sum(1).clamp(min=1)
    if pooling == "max":
        highest = tokens.where(is_token, -torch.inf).amax(1)
        return highest.where(is_token.any(1), 0)
    places = attention_mask
    if pooling == "last":
        places = attention_mask * torch.arange(attention_mask.shape[1], device=tokens.device)
    return tokens[torch.arange(len(tokens), device=tokens.device), places.argmax(1)]


class TextModule(nn.Module):
    """A network of transformers and the pooling of its last hidden states.

    Features of a text do not depend on the texts beside it, beyond rounding.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A network for texts without a head, such as ``AutoModel`` returns; of one with encoder and
        decoder the encoder. It is not copied.

    pooling : {"mean", "cls", "max", "last"}, default="mean"
        What becomes of the hidden states of the tokens: their mean or maximum, or those of the
        first token (of networks that were trained to sum up a text there) or of the last one (of
        decoders, where it alone has seen the whole text).

    Raises
    ------
    ValueError
        If the pooling is none of these, or that of the first token of a decoder, which has seen
        nothing of the text.
    """

    def __init__(self, model: Any, pooling: str = "mean"):
        super().__init__()
        if pooling not in TOKEN_POOLINGS:
            raise ValueError(f"module__pooling must be one of {TOKEN_POOLINGS}, got {pooling!r}.")
        if pooling == "cls" and _reads_forward(model.config):
            raise ValueError(
                f"module__pooling: {type(model).__name__} reads from left to right, and its first "
                "token, 'cls', knows nothing of the others; use 'last' or 'mean'."
            )
        self.model, self.pooling = model, pooling

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return features.

        Parameters
        ----------
        input_ids : torch.Tensor of int of shape (n_texts, n_tokens)
            Tokens.

        attention_mask : torch.Tensor of int of shape (n_texts, n_tokens), default=None
            1 for tokens and 0 for padding. None pads nothing.

        token_type_ids : torch.Tensor of int of shape (n_texts, n_tokens), default=None
            Of networks that take them.

        Returns
        -------
        features : torch.Tensor of shape (n_texts, n_features)
            As many as the network has hidden units.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        hidden = self.model(**inputs, return_dict=True).last_hidden_state
        return pool_tokens(hidden, attention_mask, self.pooling)


class SentenceModule(nn.Module):
    """A network of sentence-transformers with its own pooling, and whatever comes after it.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
        It must begin with a network of transformers that takes plain texts. It is not copied.

    Raises
    ------
    ValueError
        If it takes texts in a way that would be ignored here.
    """

    def __init__(self, model: Any):
        super().__init__()
        modules = import_optional("sentence_transformers.base.modules", "transformers")
        first = model[0]
        if not isinstance(first, modules.Transformer):
            self._refuse(model, f"it begins with a {type(first).__name__}, no Transformer")
        if set(first.modality_config) != {"text"}:
            self._refuse(model, f"it takes {', '.join(map(str, first.modality_config))}")
        if first.processing_kwargs:
            self._refuse(model, "it stores processing_kwargs for its tokenizer")
        has_prompt = model.default_prompt_name and model.prompts.get(model.default_prompt_name)
        if has_prompt and not all(getattr(part, "include_prompt", True) for part in model):
            self._refuse(model, "its pooling leaves out its prompt")
        self.model = model

    def _refuse(self, model, reason):
        raise ValueError(
            f"module: this {type(model).__name__} cannot be used, because {reason}; compute its "
            "features with its method encode, and pass them as a table."
        )

    def reset_parameters(self) -> None:
        """Give the network random weights."""
        first = self.model[0]
        first.model.load_state_dict(type(first.model)(first.model.config).state_dict())
        for part in list(self.model)[1:]:
            for layer in part.modules():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return features.

        Parameters
        ----------
        input_ids : torch.Tensor of int of shape (n_texts, n_tokens)
            Tokens.

        attention_mask : torch.Tensor of int of shape (n_texts, n_tokens), default=None
            1 for tokens and 0 for padding. None pads nothing.

        token_type_ids : torch.Tensor of int of shape (n_texts, n_tokens), default=None
            Of networks that take them.

        Returns
        -------
        features : torch.Tensor of shape (n_texts, n_features)
            What the method ``encode`` returns.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        return self.model(inputs)["sentence_embedding"]


def _reads_forward(config):
    """Whether a token sees only those before it: what writes texts, and fills no gaps in them."""
    transformers = import_optional("transformers", "transformers")
    kind = type(config)
    return (
        kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        and kind not in transformers.MODEL_FOR_MASKED_LM_MAPPING
    )
