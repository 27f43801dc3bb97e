"""Zones for tests of answers."""

EXAMPLE = """\
$ORIGIN example.org.
$TTL 300
@       60 IN SOA ns1 host 7 7200 1800 86400 60
@       IN NS  ns1
@       IN NS  ns2.elsewhere.test.
@       IN MX  10 mail
@       IN TXT "v=spf1 -all"
ns1     IN A   192.0.2.53
        IN AAAA 2001:db8::53
www     60 IN A 192.0.2.1
        60 IN A 192.0.2.2
        60 IN AAAA 2001:db8::1
mail    IN A   192.0.2.25
two     IN MX  10 mail
two     IN MX  20 mail
two     IN MX  30 mx.elsewhere.test.
_sip._tcp IN SRV 1 2 5060 www
svc     IN HTTPS 1 www alpn=h2
here    IN HTTPS 1 . alpn=h2
alias   IN CNAME www
longer  IN CNAME alias
dangling IN CNAME nowhere
empty   IN CNAME down
apex    IN CNAME example.org.
loop1   IN CNAME loop2
loop2   IN CNAME loop1
self    IN CNAME self
round   IN CNAME round.neighbour.test.
out     IN CNAME a.neighbour.test.
outgone IN CNAME gone.neighbour.test.
far     IN CNAME host.far.test.
child   IN CNAME www.kid
tocut   IN CNAME a.sub
*.wild  IN TXT "any"
*.wild  IN A 192.0.2.77
a.b.wild IN A 192.0.2.78
*.alias IN CNAME www
*.mx    IN MX 5 mail
a.*.ent IN A 192.0.2.79
deep.down IN A 192.0.2.3
sub     IN NS  ns.sub
sub     IN NS  ns.elsewhere.test.
sub     IN DS  12345 13 1 0000000000000000000000000000000000000001
ns.sub  IN A   192.0.2.9
insecure IN NS ns1
kid     IN NS  ns.kid
ns.kid  IN A   192.0.2.10
moved   IN DNAME down
moved   IN TXT "here"
away    IN DNAME neighbour.test.
selfd   IN DNAME selfd
alld    IN DNAME x.alld
long    IN DNAME LONG.neighbour.test.
caa     IN CAA 0 issue "ca.test"
odd     IN TYPE65280 \\# 4 0a000001
sshfp   IN SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
naptr   IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .
loc     IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
Upper   IN A 192.0.2.80
esc\\046aped IN A 192.0.2.81
c0 IN CNAME c1
c1 IN CNAME c2
c2 IN CNAME c3
c3 IN CNAME c4
c4 IN CNAME c5
c5 IN CNAME c6
c6 IN CNAME c7
c7 IN CNAME c8
c8 IN CNAME www
""".replace("LONG", f"{'a' * 59}.{'b' * 59}.{'c' * 59}")
KID = """\
$ORIGIN kid.example.org.
$TTL 300
@ IN SOA ns host 3 7200 1800 86400 90
@ IN NS ns
ns IN A 192.0.2.10
www IN A 192.0.2.11
"""
NEIGHBOUR = """\
$ORIGIN neighbour.test.
$TTL 300
@ IN SOA ns host 4 7200 1800 86400 80
@ IN NS ns
ns IN A 192.0.2.40
a IN A 192.0.2.41
deep IN A 192.0.2.42
back IN CNAME alias.example.org.
round IN CNAME round.example.org.
nodata IN CNAME www.example.org.
"""
