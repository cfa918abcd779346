"""Hugging Face tokenizer folders of SigLIP, SigLIP 2 and CLIPA, around vocabularies made here.

The real vocabularies are T5's `cc_en.32000` and mT5's (Unigram), Gemma's (pairs with bytes for the rest) and that of
`bert-base-uncased`: 30,522 pieces in `vocab.txt`, beside `tokenizer.json`. SigLIP's folders are as transformers 4 saves these
tokenizers (`tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`); the folders on the hub were not looked up.
"""

import base64
import io
import json
import random
from collections import Counter
from pathlib import Path

import sentencepiece
import text_corpus
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import normalizers, pre_tokenizers

SPACE = "\u2581"
SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
T5 = {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "normalization_rule_name": "nmt_nfkc",
      "hard_vocab_limit": False}  # fmt: skip
GEMMA = {
    "model_type": "bpe", "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "eos_piece": "<eos>", "bos_piece": "<bos>",
    "byte_fallback": True, "normalization_rule_name": "identity", "add_dummy_prefix": False,
    "remove_extra_whitespaces": False, "split_digits": True, "allow_whitespace_only_pieces": True,
    "user_defined_symbols": ["<mask>", "\n\n", SPACE * 2, SPACE * 3, "<table>", "\t"],
}  # fmt: skip


def train(settings: dict, vocab_size: int = 4000) -> ModelProto:
    """Trains a SentencePiece model on texts that captions may hold."""
    texts = text_corpus.corpus(5000) + text_corpus.shapes(random.Random(1), 8000)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.replace("\n", " ") for text in texts),
        model_writer=model, vocab_size=vocab_size, character_coverage=0.98, num_threads=1, minloglevel=2, **settings,
    )  # fmt: skip
    return ModelProto.FromString(model.getvalue())


def write_siglip(folder: Path) -> None:
    """Writes a folder like transformers 4's of open_clip's `SigLipTokenizer` (T5TokenizerFast, no extra ids)."""
    proto = train(T5)
    normalizers = [
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": SPACE},
    ]
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
    write_folder(
        folder,
        {
            "added_tokens": [{"id": 1, "content": "</s>"} | SPECIAL, {"id": 2, "content": "<unk>"} | SPECIAL],
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": metaspace,
            "post_processor": ending("</s>", 1),
            "decoder": metaspace,
            "model": {
                "type": "Unigram",
                "unk_id": 2,
                "vocab": [[piece.piece, piece.score] for piece in proto.pieces],
                "byte_fallback": False,
            },
        },
        {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "legacy": False, "additional_special_tokens": []},
        {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"},
    )


def write_siglip2(folder: Path) -> None:
    """The folder that transformers 4 saved for Gemma's vocabulary (GemmaTokenizerFast, right padding, `<eos>` last)."""
    proto = train(GEMMA)
    ids = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    merges = []
    for piece in proto.pieces:
        if piece.type == ModelProto.SentencePiece.NORMAL:
            splits = ((piece.piece[:cut], piece.piece[cut:]) for cut in range(1, len(piece.piece)))
            pairs = [pair for pair in splits if pair[0] in ids and pair[1] in ids]
            merges += [(piece.score, pair) for pair in sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]
    merges.sort(key=lambda merge: -merge[0])
    kinds = ModelProto.SentencePiece
    added = [
        {"id": number, "content": piece.piece} | SPECIAL | {"special": piece.type != kinds.USER_DEFINED}
        for number, piece in enumerate(proto.pieces)
        if piece.type in (kinds.CONTROL, kinds.UNKNOWN, kinds.USER_DEFINED)
    ]
    write_folder(
        folder,
        {
            "added_tokens": added,
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": {
                "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False,
            },
            "post_processor": ending("<eos>", 1),
            "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {
                "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                "vocab": ids, "merges": [" ".join(pair) for _, pair in merges],
            },
        },
        {"tokenizer_class": "GemmaTokenizer", "add_bos_token": False, "add_eos_token": True, "padding_side": "right"},
        {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
    )  # fmt: skip


def write_siglip_model(folder: Path) -> None:
    """Writes T5's own layout: only the SentencePiece model."""
    folder.mkdir()
    (folder / "spiece.model").write_bytes(train(T5).SerializeToString())
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>", "pad_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_bert(folder: Path, vocab_size: int = 8000) -> None:
    """As `bert-base-uncased` lies on the hub: transformers 4's `tokenizer.json` beside `vocab.txt`."""
    pieces = bert_pieces(vocab_size)
    ids = {piece: number for number, piece in enumerate(pieces)}
    around = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    second = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    special = {token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    write_folder(
        folder,
        {
            "added_tokens": [{"id": ids[token], "content": token} | SPECIAL for token in BERT_TOKENS],
            "normalizer": {
                "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing", "single": around, "pair": around + second, "special_tokens": special,
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": ids,
            },
        },
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512},
        {},
    )  # fmt: skip
    (folder / "special_tokens_map.json").unlink()
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")


def write_bert_vocabulary(folder: Path) -> None:
    """Google's own layout: the vocabulary alone."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in bert_pieces()), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")


BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def bert_pieces(vocab_size: int = 8000) -> list[str]:
    """A vocabulary in the order of BERT's: [PAD] 0, [UNK] 100 to [MASK] 103, unused ones, characters, words and parts."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    texts = text_corpus.corpus(5000) + text_corpus.shapes(random.Random(1), 3000)
    words = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)) if len(word) < 30
    )
    characters = sorted({character for word in words for character in word})
    parts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(start + 8, len(word)) + 1):
                parts[("##" if start else "") + word[start:end]] += count
    unused = [f"[unused{number}]" for number in range(994)]
    # Every third character is left out: words with them are unknown.
    first = ["[PAD]", *unused[:99], *BERT_TOKENS[1:], *unused[99:], *(c for c in characters if ord(c) % 3 or ord(c) < 128)]
    common = [piece for piece, _ in sorted((words + parts).items(), key=lambda item: (-item[1], item[0]))]
    return list(dict.fromkeys(first + common))[:vocab_size]


def ending(token: str, number: int) -> dict:
    """Returns the post-processor that appends `token` to a text."""
    text, end = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": token, "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 0}}
    special = {token: {"id": token, "ids": [number], "tokens": [token]}}
    return {"type": "TemplateProcessing", "single": [text, end], "pair": [text, end, second, end], "special_tokens": special}


def write_folder(folder: Path, tokenizer: dict, config: dict, names: dict[str, str]) -> None:
    folder.mkdir()
    whole = {"version": "1.0", "truncation": None, "padding": None} | tokenizer
    for name, content in (
        ("tokenizer.json", whole),
        ("tokenizer_config.json", config | names | {"clean_up_tokenization_spaces": False}),
        ("special_tokens_map.json", names),
    ):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
