"""Which of open_clip's models export, told from their configurations alone, before anything is downloaded."""

# Tokenizers that open_clip's models name on the hub and that the C++ side cannot run, and what they are.
UNKNOWN_TOKENIZERS = {
    "roberta-base": "RoBERTa's byte-level pairs",
    "xlm-roberta-base": "XLM-R's SentencePiece, which reads special tokens in a text",
    "xlm-roberta-large": "XLM-R's SentencePiece, which reads special tokens in a text",
    "facebook/xlm-v-base": "XLM-V's SentencePiece, which reads special tokens in a text",
    "facebook/nllb-200-distilled-600M": "NLLB's SentencePiece with language codes",
    "facebook/nllb-200-distilled-1.3B": "NLLB's SentencePiece with language codes",
}
TOKENIZER_OPTIONS = {"clean", "strip_sep_token"}  # of open_clip's `tokenizer_kwargs`


def reason_against(config: dict) -> str | None:
    """Why a model of this open_clip configuration does not export; None where nothing speaks against it."""
    text = config["text_cfg"]
    if text.get("hf_model_name"):
        return f"its text tower is {text['hf_model_name']} of transformers; only open_clip's own text towers export"
    tokenizer = text.get("hf_tokenizer_name")
    if tokenizer in UNKNOWN_TOKENIZERS:
        return f"its tokenizer is {tokenizer}, {UNKNOWN_TOKENIZERS[tokenizer]}; only CLIP's, SigLIP's and BERT's export"
    unknown = set(text.get("tokenizer_kwargs") or {}) - (TOKENIZER_OPTIONS if tokenizer else set())
    if unknown or text.get("tokenizer_mode"):
        what = text.get("tokenizer_mode") or ", ".join(sorted(unknown))
        return f"its tokenizer has the option {what}; only 'clean' and 'strip_sep_token' of a Hugging Face tokenizer are supported"
    return None
