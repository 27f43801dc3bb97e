# Called from Cython only: see the .pxd file.
def learn_reasons() -> None:
    """Take the extended errors of all reasons that are registered. Call in each process before it serves."""
