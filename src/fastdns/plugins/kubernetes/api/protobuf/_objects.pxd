"""Objects in protobuf as structs. All raise ValueError where the bytes are no such object."""

from fastdns.plugins.kubernetes.api.protobuf._fields cimport Cursor, Field

cdef object metadata_of(const Field* f)
cdef object service_of(Cursor c)
cdef object namespace_of(Cursor c)
cdef object pod_of(Cursor c)
