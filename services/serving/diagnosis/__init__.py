"""Why did it fail? An engine's log against known causes: what happened, the line that shows it, what to change.

Always true here: only the newest run of a log counts, and a run that became ready has failed only if it died after
that; a warning is no failure; the cause stands before its consequences; what is not recognised is `unknown`, with the
lines that led to it. Rows keep codes and parameters, never sentences. Pages, command line and supervisor call
`diagnose`; `causes` says what a cause is, the modules named after a family hold them. Nothing here starts, stops or
asks anything.
"""

from services.serving.diagnosis.causes import Context
from services.serving.diagnosis.verdict import UNKNOWN, Diagnosis, Evidence, diagnose

__all__ = ["UNKNOWN", "Context", "Diagnosis", "Evidence", "diagnose"]
