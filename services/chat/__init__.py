"""Conversations: prompts, answers, citations and what fits into a server's context.

Always true here: a citation names a passage that the model was shown; document text and model output are text, never
markup that loads or runs something; the part of a prompt that does not change comes first. Called by `services.app`
and what stands above it. Searching, talking HTTP to model servers and drawing pages don't belong here.
"""
