"""Did-you-mean, lists as people write them, and texts that fit a message."""

import difflib
from collections.abc import Iterable

# Words that other tools use for the same thing: they are far from ours in spelling.
OTHER_WORDS = {
    "accuracy": "cross_entropy",
    "adagrad_w": "adamw",
    "all_reduce": "allreduce",
    "batch_size": "batch",
    "bfloat16": "bf16",
    "beta1": "b1",
    "beta2": "b2",
    "betas": "b1",
    "codec": "compression",
    "compress": "compression",
    "dataset": "data",
    "depth": "layers",
    "epochs": "steps",
    "float16": "fp16",
    "float32": "fp32",
    "float64": "fp64",
    "fp8": "fp8_e4m3",
    "frequency": "every",
    "half": "fp16",
    "hidden_size": "width",
    "interval": "every",
    "eps_root": "eps",
    "epsilon": "eps",
    "iterations": "steps",
    "learning_rate": "lr",
    "max_steps": "steps",
    "mse": "mean_squared_error",
    "network": "hardware",
    "num_heads": "heads",
    "num_layers": "layers",
    "period": "every",
    "ps": "parameter_server",
    "seq_len": "context",
    "seq_length": "context",
    "sync": "synchronous",
    "wd": "weight_decay",
    "training": "train",
    "xent": "cross_entropy",
}


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Returns the one of `words` that was probably meant, or None.

    Example:
        >>> nearest("evry", ["every", "outer"]), nearest("zebra", ["every"])
        ('every', None)
        >>> nearest("num_layers", ["layers", "width"])
        'layers'
    """
    known = list(words)
    if OTHER_WORDS.get(word.lower()) in known:
        return OTHER_WORDS[word.lower()]
    folded = {other.lower(): other for other in reversed(known)}
    found = difflib.get_close_matches(word.lower()[:64], folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """Returns the help line for a misspelt word, or None where nothing is near."""
    meant = nearest(word, words)
    return None if meant is None else f"did you mean `{meant}`?"


def listed(words: Iterable[str], last: str = "or") -> str:
    """Joins words as people list them, each in backticks.

    Example:
        >>> listed(["ring", "tree", "auto"])
        '`ring`, `tree` or `auto`'
    """
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def shorten(text: str, limit: int = 40) -> str:
    """Cuts a text that is too long for a message.

    Example:
        >>> shorten("abcdef", 4)
        'abc…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"
