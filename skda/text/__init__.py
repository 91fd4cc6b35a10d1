"""From texts to the input of a language network: reading, tokenising, batches of like length.

The only place that knows what a text can look like. Networks are built elsewhere; a tokenizer is
whatever is called as those of the library transformers are.
"""

from skda.text._preprocess import TextPreprocess, resolve_text_preprocess
from skda.text._reading import as_text_list, check_texts, text_key
from skda.text._rows import TextRows

__all__ = [
    "TextPreprocess",
    "TextRows",
    "as_text_list",
    "check_texts",
    "resolve_text_preprocess",
    "text_key",
]
