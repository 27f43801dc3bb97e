"""Expressions over a message, for steps in Python: see _message.pxd."""

from libc.stdint cimport uint8_t, uint16_t

from fastdns._wire cimport ACCEPTED, accept
from fastdns.expr._program cimport Program, begin_run, evaluate_next, from_python, to_python
from fastdns.expr._value cimport MAX_VARIABLES
from fastdns.serve._context cimport OVER_TCP, OVER_UDP


cdef class MessageRun:
    """One run over one query: its programs share their variables and bounds.

    client, server: addresses of 4 or 16 bytes; that of the server may be empty. values: of plugins, by name. Raises
    ValueError where the message is no query that is accepted.
    """

    def __init__(self, bytes message not None, *, bytes client=b"\x7f\0\0\1", uint16_t client_port=5353,
                 bint stream=False, bytes server=b"\x7f\0\0\2", uint16_t server_port=53, values=None):
        self.keep = [message, client, server]
        self.values = values or {}
        if len(client) not in (4, 16) or len(server) not in (0, 4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        if accept(<const uint8_t*>message, len(message), &self.query) != ACCEPTED:
            raise ValueError("the message is no query that is accepted")
        self.server.address = <const uint8_t*>server if server else NULL
        self.server.address_len = len(server)
        self.server.port = server_port
        self.ctx.q = &self.query
        self.ctx.server = &self.server
        self.ctx.client = <const uint8_t*>client
        self.ctx.client_len = len(client)
        self.ctx.client_port = client_port
        self.ctx.transport = OVER_TCP if stream else OVER_UDP
        begin_run(&self.ctx, &self.run)

    cdef int add_variable(self, const Value* value) except -1:
        if self.variables == MAX_VARIABLES:
            raise ValueError(f"at most {MAX_VARIABLES} variables")
        self.run.variables[self.variables] = value[0]
        self.variables += 1
        return 0

    def give(self, value):
        """The value of the next variable, as Program.constant gives one."""
        cdef Value made
        from_python(self.keep, &made, value)
        self.add_variable(&made)

    def evaluate(self, Program program not None, *, bint keep=False):
        """(value,), or None where it fails. keep: it is the next variable."""
        cdef Value value
        cdef Value texts
        cdef bint done
        from_python(self.keep, &texts, [self.values.get(name, "") for name in program.values])
        self.run.texts = texts.items
        with nogil:
            done = evaluate_next(&program.code, &self.run, &value)
        if not done:
            return None
        if keep:
            self.add_variable(&value)
        return (to_python(&value),)
