"""The expressions of a template in a query: see _expressions.pxd."""

from libc.stdint cimport uint64_t

from fastdns.expr._program cimport begin_run, evaluate_next
from fastdns.expr._value cimport (
    BOOL, INT, MAP, STRING as TEXT, Value as Result, array_value, string_value, take_items,
)
from fastdns.plugins.template._printing cimport (
    BOOLEAN, NOTHING, SIGNED, Key, group_value, number_value, text_value,
)


cdef Result groups_of(Run* run, const Data* data) noexcept nogil:
    """The groups of the match by name and number."""
    cdef uint32_t count = data.groups.key_count
    cdef Result* items = take_items(run, 2 * <uint64_t>count)
    cdef Result made = array_value(items, 0)
    cdef const Key* key
    cdef Value group
    cdef uint32_t i
    made.kind = MAP
    if items == NULL:
        return made
    for i in range(count):
        key = &data.groups.keys[i]
        group = group_value(data, key.group)
        items[2 * i] = string_value(key.text, key.size)
        items[2 * i + 1] = string_value(group.text, group.size)
    made.size = count
    return made


cdef Value seen_by_templates(const Result* result) noexcept nogil:
    if result.kind == TEXT:
        return text_value(result.text, result.size)
    if result.kind == INT:
        return number_value(SIGNED, result.number)
    if result.kind == BOOL:
        return number_value(BOOLEAN, result.number)
    return number_value(NOTHING, 0)


cdef Verdict evaluate_all(const Expressions* e, const Data* data, Run* run, Value* variables) noexcept nogil:
    cdef Result result
    cdef uint32_t i
    begin_run(data.ctx, run)
    run.variables[0] = groups_of(run, data)
    for i in range(e.variable_count + e.condition_count):
        if not evaluate_next(e.programs[i], run, &result):
            return FAILED
        if i < e.variable_count:
            run.variables[1 + i] = result
            variables[i] = seen_by_templates(&result)
        elif result.kind != BOOL or result.number == 0:
            return NOT_TRUE
    return HOLDS
