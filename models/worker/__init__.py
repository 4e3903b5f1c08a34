"""Models that run in a process and an environment of their own, with the interface of those that run in this one.

The two processes talk over a socket pair in framed messages (`protocol`): JSON and raw buffers, never pickles. Clips
are sent when the model reads them, so that a worker holds what it works on, and an unreadable clip fails its own
request.
"""
