"""Models on disk: where they come from and whether they arrived whole.

Always true here: a model stands under its name only after its size and SHA-256 were checked; what was loaded before a
kill is kept; nothing of a package is imported. The worker fetches, everybody may ask. Serving a model does not belong
here.
"""
