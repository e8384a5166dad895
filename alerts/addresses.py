"""Which addresses webhooks may go to."""

import ipaddress

from django.conf import settings

# Where clouds tell a machine its own secrets, beside the link-local 169.254.169.254.
METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_allowed(address: str) -> bool:
    """Whether a webhook may go to this IP address: link-local ones, multicast and those of cloud metadata never,
    others that are not public only with WEBHOOK_INTERNAL. Raises ValueError for what is no IP address."""
    ip = _meant(address)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in METADATA:
        return False
    return ip.is_global or settings.WEBHOOK_INTERNAL


def _meant(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """IPv4 addresses have several clothes in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def is_allowed_host(host: str) -> bool:
    """Before anything is looked up: False only where the host is itself an address that is not allowed."""
    try:
        return is_allowed("127.0.0.1" if host.lower().rstrip(".") == "localhost" else host)
    except ValueError:
        return True
