"""The command line: the same verbs as the pages, through the same functions.

Always true here: with `--json` stdout holds one JSON document and nothing else; an `AppError` ends with exit code 1 and
its code, message and remedy on stderr; wrong usage ends with 2.
"""
