"""Models on disk: what there is, where more come from and whether they arrived whole, and the memory that they need.

Always true here: a model stands under its name only after its size and hash were checked; what was loaded before a kill
is kept; nothing of a package or a model is imported or run; no link is followed when something is deleted. A hub is
asked only when a person wished for one of its models. The worker loads, everybody may wish and look. Serving a model
does not belong here.
"""
