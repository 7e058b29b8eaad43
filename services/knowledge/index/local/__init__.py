"""A knowledge base in one folder: one SQLite file is the truth, and whatever else searches use can be made from it.

Always true here: every change is one transaction, and what is visible, the lexical index and the log of changes move
with it; the vectors in memory follow that log, so that every process sees every published change in its next search;
FAISS and sqlite3 are imported nowhere else in the room, and their exceptions stop here.
"""

from services.knowledge.index.local.copies import check_base
from services.knowledge.index.local.foreign import read_vectors
from services.knowledge.index.local.store import LocalBaseStore

__all__ = ["LocalBaseStore", "check_base", "read_vectors"]
