"""Whole things that come in or go out: archives of a base, zip files, folders of this machine, folders of LangChain.

Always true here: what comes from outside is checked before it is believed, nothing of it is run, and no name in it
becomes a path. A base that arrives is built under a name that nobody looks at, and appears whole or not at all.
"""
