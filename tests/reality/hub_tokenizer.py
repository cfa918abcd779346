"""CLIP's tokenizer in the form of old folders on the hub: merges and vocabulary, no `tokenizer.json`."""

import json
from pathlib import Path

from sdsclip_export.tokenizer import openai_merges, vocabulary

BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def write_old_tokenizer(folder: Path, pad: str, config_pad: str = EOS) -> None:
    """Writes merges.txt, vocab.json, special_tokens_map.json and tokenizer_config.json.

    `pad` is the map's padding token, which counts; Stable Diffusion 2's configuration names another one (`config_pad`).
    """
    merges = openai_merges()
    write_json(folder / "vocab.json", vocabulary(merges, BOS, EOS))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    token = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    named = {
        name: {"content": content} | token
        for name, content in (("bos_token", BOS), ("eos_token", EOS), ("unk_token", EOS))
    }
    write_json(folder / "special_tokens_map.json", named | {"pad_token": pad})
    typed = {name: {"__type": "AddedToken"} | value for name, value in named.items()}
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    config |= {"pad_token": config_pad, "special_tokens_map_file": "./special_tokens_map.json"}
    write_json(folder / "tokenizer_config.json", typed | config | {"tokenizer_class": "CLIPTokenizer"})
