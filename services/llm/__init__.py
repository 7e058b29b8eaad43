"""Talking to model servers: any server that speaks OpenAI's chat API, whoever started it.

Always true here: nothing but an `AppError` leaves this room; a request goes to the endpoint's own host and nowhere else
(no proxy, no redirect, no key from the environment); a count that a server does not tell is None. Called by the rooms
above, which hand over an `Endpoint`. Prompts, conversations and the starting of servers don't belong here.
"""
