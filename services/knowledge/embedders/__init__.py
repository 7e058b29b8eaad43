"""Embedders: what turns texts into unit vectors, one file per provider, behind `protocol.Embedder`.

Always true here: vectors come back in the caller's order and have length 1; the prefixes of the spec are added here and
nowhere else; nothing is cut silently. `fingerprint` says whether two embedders make the same vectors, `child` runs one
in a process of its own. What is stored with the vectors does not belong here.
"""

from services.knowledge.embedders.registry import make_embedder

__all__ = ["make_embedder"]
