"""Where models are loaded from: one file for each kind of hub, over its official client.

Always true here: a foreign exception becomes an `AppError`; a token goes only to the hub that it belongs to; nothing is
asked of a hub unless a person wished for a model. All of it runs in a child process of the worker, or looks once.
"""
