"""A knowledge base in one folder: one SQLite file is the truth, FAISS searches what it holds from memory.

Always true here: every change is one transaction; the vectors in memory follow a counter that each change of what is
visible raises, so that every process sees every published change in its next search; FAISS and sqlite3 are imported
nowhere else in the room, and their exceptions stop here.
"""

from services.knowledge.index.local.copies import check_base
from services.knowledge.index.local.foreign import read_vectors
from services.knowledge.index.local.store import LocalBaseStore

__all__ = ["LocalBaseStore", "check_base", "read_vectors"]
