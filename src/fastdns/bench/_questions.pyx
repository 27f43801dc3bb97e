"""Queries, and what is expected of their answers."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from fastdns.bench._answers cimport Said, read_said

cdef enum:
    HEADER_BYTES = 12
    MAX_MESSAGE_BYTES = 65535


cdef uint32_t end_of_question(const uint8_t* message, uint32_t size) noexcept nogil:
    """The offset behind the only question, or 0 if there is not exactly one."""
    cdef uint32_t at = HEADER_BYTES
    if size < HEADER_BYTES + 5 or message[4] != 0 or message[5] != 1:
        return 0
    while at < size and message[at] != 0:
        if message[at] > 63:
            return 0
        at += message[at] + 1
    return at + 5 if at + 5 <= size else 0


cdef class Questions:
    """messages: whole queries; their IDs are replaced. Raises ValueError unless each has exactly one question.

    anything: messages may be any bytes; an answer to one without a question is known by its ID alone.
    """

    def __cinit__(self, list messages not None, *, bint anything=False):
        cdef uint32_t i
        cdef uint64_t total = 0
        cdef uint8_t* at
        cdef bytes message
        if not messages:
            raise ValueError("no queries to ask")
        for message in messages:
            total += len(message)
            if <uint64_t>len(message) > self.most_bytes:
                self.most_bytes = <uint32_t>min(len(message), MAX_MESSAGE_BYTES + 1)
        if self.most_bytes > MAX_MESSAGE_BYTES:
            raise ValueError(f"messages of at most {MAX_MESSAGE_BYTES} bytes expected")
        self.count = len(messages)
        self.table = <Question*>calloc(self.count, sizeof(Question))
        self.arena = <uint8_t*>malloc(total if total else 1)
        if self.table == NULL or self.arena == NULL:
            raise MemoryError
        at = self.arena
        for i in range(self.count):
            message = messages[i]
            memcpy(at, <const uint8_t*>message, len(message))
            self.table[i].message = at
            self.table[i].size = len(message)
            self.table[i].question_end = end_of_question(at, self.table[i].size)
            if self.table[i].question_end:
                self.table[i].qtype = (<uint16_t>at[self.table[i].question_end - 4] << 8
                                       | at[self.table[i].question_end - 3])
            elif anything:
                self.table[i].question_end = HEADER_BYTES
            else:
                raise ValueError(f"query {i} is no message with one question")
            at += len(message)

    def __dealloc__(self):
        free(self.table)
        free(self.arena)

    def __len__(self):
        return self.count

    def name_all(self, list texts not None):
        """The text of each query, as ``-v`` prints it."""
        cdef uint32_t i
        if len(texts) != <Py_ssize_t>self.count:
            raise ValueError("one text for each query expected")
        self.texts = [text.encode() for text in texts]
        for i in range(self.count):
            self.table[i].text = <bytes>self.texts[i]

    def message(self, uint32_t index):
        """One query as bytes."""
        if index >= self.count:
            raise IndexError(index)
        return (<const char*>self.table[index].message)[:self.table[index].size]

    def expect(self, uint32_t index, uint8_t rcode, bytes answer):
        """The expected answer to one query: the rcode, and the records of the query's type in a message with the
        same question; None: at least one record, any data. Raises ValueError if that message cannot be read."""
        cdef Said said
        cdef Question* question
        if index >= self.count:
            raise IndexError(index)
        question = &self.table[index]
        question.rcode = rcode
        if answer is None:
            question.expects = SOME
            return
        if read_said(<const uint8_t*>answer, len(answer), question.question_end, question.qtype, &said) < 0:
            raise ValueError("the expected answer is no message")
        question.expects = EXACTLY
        question.records = said.records
        question.digest = said.digest
