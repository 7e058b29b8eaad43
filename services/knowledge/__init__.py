"""Knowledge bases: documents become chunks, chunks get vectors, and questions find them.

`service.KnowledgeService` is the door for pages, command line and API; `ingest.Ingest` is the way of one file, walked
by the worker. Always true here: an original is stored before its row; "ready" is said after counting; an older revision
answers until the newer one is ready; a base refuses vectors of another embedder. Talking to chat servers does not
belong here.
"""
