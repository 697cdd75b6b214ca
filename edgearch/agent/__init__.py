"""What travels to a device, as one zipapp with ``edgearch.runtimes``: the standard library and NumPy.

The host sends one request, a line of JSON on stdin; the agent answers with one JSON document on stdout
and tells its progress on stderr. When stdin closes (the connection is cut, the user pressed Ctrl-C) the
agent and everything it started end. Python 3.9 and up.
"""
