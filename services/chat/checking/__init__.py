"""Whether a passage bears out what an answer says with it: a model of claims and evidence, without a language model.

A sentence is held against the text of its passages: its numbers, dates and names must stand there, it must not deny
what the passage affirms (or the other way round), and most of its words must be there. What remains open is decided by
the embedder, where that is sure. Nothing here changes an answer: it only says what was found.
"""
