"""What the Chat page is made of: the composer and its settings, a turn's actions, the memory, what others may read."""
