"""Models of a few hundred kilobytes with random weights, made on the spot: what an engine does with them is real.

Run by the Python of an engine's environment: `python make_tiny_model.py chat|embedder|reranker FOLDER`.
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
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

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
    _seeded()
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        eos_token_id=2,
        bos_token_id=None,
        pad_token_id=0,
        tie_word_embeddings=False,
        initializer_range=0.5,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)


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


KINDS: dict[str, Callable[[Path], None]] = {"chat": chat, "embedder": embedder, "reranker": reranker}

if __name__ == "__main__":
    KINDS[sys.argv[1]](Path(sys.argv[2]))
