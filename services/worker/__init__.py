"""The background process, one per machine: it makes true what was wished for.

Always true here: wishes lie in the bases' databases and in the state database, never only in the queue; every step may be
killed and is done again; nothing here is asked by a page directly.
"""
