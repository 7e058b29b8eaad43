"""The programs that serve models, one file each behind `protocol.Engine`; `registry` lists them.

Always true here: an engine says how it is started, and starts nothing itself. The supervisor calls it.
"""
