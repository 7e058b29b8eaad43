"""Models of a few hundred kilobytes with random weights, made on the spot: what an engine does with them is real.

Run by the Python of an engine's environment: `python make_tiny_model.py chat|embedder|reranker|large FOLDER`. The last
is not small: seven billion weights of 16 bits, made on a card, for what can only be seen at full size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS = ["the quick brown fox jumps over the lazy dog", "你好，世界。知识库里有什么？", "0123456789 .,:;!?()[]"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WINDOW = 256
"""Tokens that the embedder and the reranker read."""


def chat(folder: Path) -> None:
    """A Qwen2 of two layers with a context of 2048 tokens and a chat template."""
    from transformers import Qwen2ForCausalLM

    _seeded()
    Qwen2ForCausalLM(_qwen2(hidden_size=128, intermediate_size=256, initializer_range=0.5)).save_pretrained(folder)
    _pieces().save_pretrained(folder)


def large(folder: Path) -> None:
    """The same with 32 layers of 4096 dimensions: 14 GB."""
    import torch
    from transformers import Qwen2ForCausalLM

    _seeded()
    shape = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8}
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = Qwen2ForCausalLM(_qwen2(**shape, **heads, dtype="bfloat16"))
    model.save_pretrained(folder)
    _pieces().save_pretrained(folder)


def _qwen2(**shape: Any) -> Any:
    from transformers import Qwen2Config

    small = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    tokens = {"vocab_size": 512, "eos_token_id": 2, "bos_token_id": None, "pad_token_id": 0}
    return Qwen2Config(**{**small, **tokens, "max_position_embeddings": 2048, "tie_word_embeddings": False, **shape})


def _pieces() -> Any:
    """A tokenizer of 512 pieces with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=512, special_tokens=special, initial_alphabet=alphabet)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    return fast


def embedder(folder: Path) -> None:
    """A sentence-transformers folder: a BERT of one layer, 32 dimensions, mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertModel

    bert = folder / "bert"
    BertModel(_bert()).save_pretrained(bert)
    _words().save_pretrained(bert)
    body = Transformer(str(bert), max_seq_length=WINDOW)
    SentenceTransformer(modules=[body, Pooling(32)], device="cpu").save(str(folder))


def reranker(folder: Path) -> None:
    """A cross-encoder: the same BERT with one score at its end."""
    from transformers import BertForSequenceClassification

    BertForSequenceClassification(_bert(num_labels=1)).save_pretrained(folder)
    _words().save_pretrained(folder)


def _bert(**more: Any) -> Any:
    from transformers import BertConfig

    _seeded()
    return BertConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=WINDOW,
        **more,
    )


def _words() -> Any:
    from tokenizers import BertWordPieceTokenizer
    from transformers import PreTrainedTokenizerFast

    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator(TEXTS, vocab_size=512, min_frequency=1, show_progress=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
        model_max_length=WINDOW,
    )


def _seeded() -> None:
    import torch

    torch.manual_seed(7)


KINDS: dict[str, Callable[[Path], None]] = {"chat": chat, "embedder": embedder, "reranker": reranker, "large": large}

if __name__ == "__main__":
    KINDS[sys.argv[1]](Path(sys.argv[2]))
