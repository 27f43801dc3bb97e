"""Runs a template's native program on data that a test makes up."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from fastdns.plugins.template._printing cimport (
    FIELD_GROUP, FIELD_MATCH, FIELDS_OF_TEXT, GROUPS, MATCH, NO_GROUP, STRING, UNSIGNED, Data, Groups, Key,
)
from fastdns.plugins.template._program cimport MAX_TEXT_BYTES, NativeProgram, execute
from fastdns.plugins.template._step import group_keys

cdef enum:
    MAX_GROUPS = 16
    MAX_KEYS = 64


def run(NativeProgram program not None, list fields not None, names, offsets, list keys not None):
    """The text, or None where the program fails.

    fields: by number, bytes or an int. names: of the pattern's groups. offsets: of the groups in the field Name.
    keys: the names that the program reads. Values of plugins and of expressions are not there.
    """
    cdef Data data
    cdef Groups groups
    cdef Key known[MAX_KEYS]
    cdef uint16_t by_name[MAX_KEYS]
    cdef int32_t places[2 * MAX_GROUPS]
    cdef uint8_t* out = <uint8_t*>calloc(MAX_TEXT_BYTES, 1)
    cdef uint32_t size = 0, i
    cdef bint done
    by_key = sorted(group_keys(names).items())
    kept = [key for key, _ in by_key]
    assert len(fields) == FIELDS_OF_TEXT and len(names) <= MAX_GROUPS and len(by_key) <= MAX_KEYS >= len(keys)
    for i in range(FIELDS_OF_TEXT):
        if isinstance(fields[i], bytes):
            data.fields[i].kind = STRING
            data.fields[i].text = <const uint8_t*><bytes>fields[i]
            data.fields[i].size = <uint32_t>len(fields[i])
        else:
            data.fields[i].kind = UNSIGNED
            data.fields[i].number = fields[i]
    data.fields[FIELD_MATCH].kind = MATCH
    data.fields[FIELD_MATCH].number = 0
    data.fields[FIELD_MATCH].size = <uint32_t>len(names)
    data.fields[FIELD_GROUP].kind = GROUPS
    for i in range(<uint32_t>len(offsets)):
        places[i] = offsets[i]
    for i in range(<uint32_t>len(kept)):
        known[i].text = <const uint8_t*><bytes>kept[i]
        known[i].size = <uint32_t>len(kept[i])
        known[i].group = by_key[i][1]
    for i in range(<uint32_t>len(keys)):
        by_name[i] = group_keys(names).get(keys[i], NO_GROUP)
    groups.group_count = <uint32_t>len(names)
    groups.keys = known
    groups.key_count = <uint32_t>len(kept)
    groups.by_name = by_name
    data.ctx = NULL
    data.groups = &groups
    data.offsets = places
    data.metas = NULL
    data.variables = NULL
    with nogil:
        done = execute(&program.program, &data, out, &size)
    said = out[:size] if done else None
    free(out)
    return said
