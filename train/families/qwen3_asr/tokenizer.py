"""A small processor like Qwen3-ASR's, with a tokenizer learnt from the transcripts of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable

from transformers import Qwen2Tokenizer, Qwen3ASRFeatureExtractor, Qwen3ASRProcessor

END_OF_TEXT = "<|endoftext|>"
START_OF_TURN = "<|im_start|>"
END_OF_TURN = "<|im_end|>"
"""Ends every turn of the chat and so the transcript: the token that stops generation."""
TRANSCRIPT = "<asr_text>"
"""Stands between the language's name and the transcript."""
AUDIO_START = "<|audio_start|>"
AUDIO = "<|audio_pad|>"
AUDIO_END = "<|audio_end|>"

# The layout of the released checkpoints: a system turn (empty unless a prompt is given), a user
# turn that holds only audio, and the assistant's turn with language and transcript.
CHAT_TEMPLATE = """\
{%- macro texts(role) -%}
{%- for message in messages if message.role == role -%}
{%- for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endfor -%}
{%- endmacro -%}
<|im_start|>system
{{ texts('system') }}<|im_end|>
<|im_start|>user
{% for message in messages -%}
{%- for part in message.content if part.type == 'audio' -%}
<|audio_start|><|audio_pad|><|audio_end|>
{%- endfor -%}
{%- endfor -%}
<|im_end|>
{% for message in messages if message.role == 'assistant' -%}
<|im_start|>assistant
{% for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}"""


def build_processor(texts: Iterable[str], vocabulary: int) -> Qwen3ASRProcessor:
    """A processor with Qwen3-ASR's features and prompt, and a byte-level BPE learnt from `texts`.

    It can encode any text, because the 256 single bytes are always in the vocabulary.

    Args:
        texts: transcripts to learn merges from.
        vocabulary: largest number of tokens, special ones not counted.
    """
    from tokenizers import AddedToken, Tokenizer, models, trainers
    from tokenizers.pre_tokenizers import ByteLevel

    # The splitting rules are those of transformers' own tokenizer; only the merges are learnt.
    blank = Qwen2Tokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE())
    learner.normalizer = blank.normalizer
    learner.pre_tokenizer = blank.pre_tokenizer
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            initial_alphabet=sorted(ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    learnt = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(merge) for merge in learnt["merges"]],
        unk_token=END_OF_TEXT,
        eos_token=END_OF_TURN,
        # One id for padding and end, as in the released configuration: labels must not rely on ids.
        pad_token=END_OF_TURN,
        audio_token=AUDIO,
        audio_bos_token=AUDIO_START,
        audio_eos_token=AUDIO_END,
        extra_special_tokens=[START_OF_TURN],
    )
    # A token of its own but not a special one: decoding has to keep it, so that language and
    # transcript can be separated in the output of the model.
    tokenizer.add_tokens([AddedToken(TRANSCRIPT, special=False, normalized=False)])
    return Qwen3ASRProcessor(
        feature_extractor=Qwen3ASRFeatureExtractor(),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )
