"""Model servers: a wish is written, the supervisor makes it so, and "stopped" means that nothing is left.

Always true here: a process is known by pid and start time; every process of a server is below its runner, in its
session, or carries its launch token; a server is ready when its own API answers; moves between states follow the table
in `states`; memory is a server's because one of its processes holds it, or else it is marked as an estimate. `service`
is what pages, API and command line call; the worker alone ticks the supervisor. Nothing else of Lectern starts
processes except through this room. What a server answers, and what it is asked, does not belong here.
"""
