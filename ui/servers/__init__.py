"""The Servers page: the rows of all servers, the form for one that Lectern runs, its plan, its log and live figures."""
