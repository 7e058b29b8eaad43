"""The state database: what was wished for and what was said.

It holds bases, servers, jobs, conversations, preferences and readings; what a knowledge base contains lives in the
base's own database. Always true here: a row stores codes and parameters, never sentences; times are milliseconds since
1970; every call is one transaction; nothing is used that PostgreSQL could not do; a foreign exception becomes an
`AppError`.
"""

from services.store.state import StateStore

__all__ = ["StateStore"]
