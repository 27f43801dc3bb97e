# Called from Cython only: see the .pxd file.
