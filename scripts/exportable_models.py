#!/usr/bin/env python3
"""Lists open_clip's models with pretrained weights, and says for each whether export_clip.py exports it or why not.

Only configurations are read; nothing is downloaded. Run it with .venv/bin/python.
"""

import argparse
from collections import Counter

import open_clip
from sdsclip_export.errors import run_main
from sdsclip_export.exportable import reason_against


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tags = Counter(name for name, _ in open_clip.list_pretrained())
    reasons = {name: reason_against(open_clip.get_model_config(name)) for name in tags}
    width = max(map(len, tags))
    for name, count in tags.items():
        print(f"{name:<{width}}  {count:>3}  {reasons[name] or 'exports'}")
    exported = [name for name in tags if reasons[name] is None]
    pairs = sum(tags[name] for name in exported)
    print(f"{pairs} of {tags.total()} pretrained weights export, {len(exported)} of {len(tags)} models")


if __name__ == "__main__":
    run_main(main)
