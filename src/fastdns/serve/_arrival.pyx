"""The address that a message was sent to: see _arrival.pxd."""

from libc.string cimport memcpy, memset

from fastdns.memory._syscalls cimport (
    IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO, cmsghdr, in6_pktinfo, in_pktinfo,
)

cdef enum:
    # Of the local address in struct in_pktinfo: behind the interface. struct in6_pktinfo begins with it.
    SPEC_DST_AT = 4


cdef const uint8_t* server_address(const Context* ctx, uint32_t* size) noexcept nogil:
    cdef cmsghdr header
    if ctx.server.address != NULL:
        size[0] = ctx.server.address_len
        return ctx.server.address
    size[0] = 0
    if ctx.control == NULL or ctx.control_len < sizeof(cmsghdr):
        return NULL
    # A copy of it in a suspended query need not be aligned.
    memcpy(&header, ctx.control, sizeof(cmsghdr))
    if header.cmsg_level == IPPROTO_IP and header.cmsg_type == IP_PKTINFO:
        if ctx.control_len < sizeof(cmsghdr) + sizeof(in_pktinfo):
            return NULL
        size[0] = 4
        return ctx.control + sizeof(cmsghdr) + SPEC_DST_AT
    if header.cmsg_level == IPPROTO_IPV6 and header.cmsg_type == IPV6_PKTINFO:
        if ctx.control_len < sizeof(cmsghdr) + sizeof(in6_pktinfo):
            return NULL
        size[0] = 16
        return ctx.control + sizeof(cmsghdr)
    return NULL


cdef uint16_t write_arrival(uint8_t* control, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef cmsghdr header
    cdef uint8_t* data = control + sizeof(cmsghdr)
    memset(&header, 0, sizeof(cmsghdr))
    if size == 4:
        header.cmsg_level = IPPROTO_IP
        header.cmsg_type = IP_PKTINFO
        header.cmsg_len = sizeof(cmsghdr) + sizeof(in_pktinfo)
        memset(data, 0, sizeof(in_pktinfo))
        memcpy(data + SPEC_DST_AT, address, 4)
    else:
        header.cmsg_level = IPPROTO_IPV6
        header.cmsg_type = IPV6_PKTINFO
        header.cmsg_len = sizeof(cmsghdr) + sizeof(in6_pktinfo)
        memset(data, 0, sizeof(in6_pktinfo))
        memcpy(data, address, 16)
    memcpy(control, &header, sizeof(cmsghdr))
    return header.cmsg_len
