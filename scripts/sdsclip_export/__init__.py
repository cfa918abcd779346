"""Code that `export_clip.py` and `export_teacher.py` share: loading, tracing, checking and writing bundles."""
