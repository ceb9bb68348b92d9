/*
 * neighbours.c
 *		The hosts on the same network segment: telling them that an address is
 *		here now, asking them who has it.
 *
 * A host that has sent to an address keeps the hardware address of its owner for
 * a while (minutes, on some systems).  When the address moves, that entry must
 * change at once.  IPv4: a gratuitous ARP request and a reply, both broadcast,
 * because some systems look at the one, and some at the other.  IPv6: an
 * unsolicited neighbour advertisement to all nodes, with the override flag, and
 * hop limit 255, without which it is ignored (RFC 4861, 7.2.6).  The frames also
 * teach the switches on the way.
 *
 * Asking is what a host does before it uses an address (RFC 5227, RFC 4862): the
 * ARP request has no sender's IP address, so that nobody learns it.
 */
#include "neighbours.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/clock.h"

#define ND_HOP_LIMIT	255
#define LATE_PACKETS	1000	/* that a wait may read after its end */

typedef struct ArpPacket
{
	uint16_t	hardware_type;
	uint16_t	protocol_type;
	uint8_t		hardware_size;
	uint8_t		protocol_size;
	uint16_t	operation;
	uint8_t		sender_mac[PGHA_MAC_SIZE];
	uint8_t		sender_ip[4];
	uint8_t		target_mac[PGHA_MAC_SIZE];
	uint8_t		target_ip[4];
} __attribute__((packed)) ArpPacket;

/* A neighbour solicitation or advertisement with the option that tells a hardware address. */
typedef struct NdPacket
{
	uint8_t		type;
	uint8_t		code;
	uint16_t	checksum;		/* filled in by the kernel */
	uint32_t	flags;
	uint8_t		target[16];
	uint8_t		option;
	uint8_t		option_size;	/* in units of 8 bytes */
	uint8_t		mac[PGHA_MAC_SIZE];
} __attribute__((packed)) NdPacket;

/* ---- sockets ---- */

static int
open_arp(const PghaInterface *interface)
{
	struct sockaddr_ll where = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = interface->index
	};
	int			fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *) &where, sizeof(where)) != 0)
	{
		int			saved = errno;

		(void) close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
open_nd(const PghaInterface *interface)
{
	struct icmp6_filter filter;
	int			hops = ND_HOP_LIMIT;
	int			off = 0;
	int			on = 1;
	int			fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	if (fd < 0)
		return -1;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface->index, sizeof(interface->index)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) != 0)
	{
		int			saved = errno;

		(void) close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
pgha_neighbours_open(const PghaInterface *interface, int family)
{
	return family == AF_INET6 ? open_nd(interface) : open_arp(interface);
}

/* ---- sending ---- */

static int
send_arp(int fd, const PghaInterface *interface, uint16_t operation,
		 const unsigned char *sender, const unsigned char *target_mac, const unsigned char *target)
{
	struct sockaddr_ll all = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = interface->index,
		.sll_halen = PGHA_MAC_SIZE
	};
	ArpPacket	packet = {
		.hardware_type = htons(ARPHRD_ETHER), .protocol_type = htons(ETH_P_IP),
		.hardware_size = PGHA_MAC_SIZE, .protocol_size = 4, .operation = htons(operation)
	};

	memset(all.sll_addr, 0xff, PGHA_MAC_SIZE);
	memcpy(packet.sender_mac, interface->mac, PGHA_MAC_SIZE);
	memcpy(packet.sender_ip, sender, 4);
	memcpy(packet.target_mac, target_mac, PGHA_MAC_SIZE);
	memcpy(packet.target_ip, target, 4);
	return sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *) &all, sizeof(all)) < 0 ? errno : 0;
}

/* `source` NULL: any of the interface's. */
static int
send_nd(int fd, const PghaInterface *interface, NdPacket *packet,
		const struct in6_addr *to, const unsigned char *source)
{
	struct sockaddr_in6 destination = {
		.sin6_family = AF_INET6, .sin6_addr = *to, .sin6_scope_id = (uint32_t) interface->index
	};
	struct iovec data = {.iov_base = packet, .iov_len = sizeof(*packet)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct msghdr message = {
		.msg_name = &destination, .msg_namelen = sizeof(destination), .msg_iov = &data, .msg_iovlen = 1
	};

	memset(control, 0, sizeof(control));
	if (source != NULL)
	{
		struct in6_pktinfo info = {.ipi6_ifindex = (unsigned int) interface->index};
		struct cmsghdr *header;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = IPPROTO_IPV6;
		header->cmsg_type = IPV6_PKTINFO;
		header->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(&info.ipi6_addr, source, 16);
		memcpy(CMSG_DATA(header), &info, sizeof(info));
	}
	memcpy(packet->mac, interface->mac, PGHA_MAC_SIZE);
	return sendmsg(fd, &message, 0) < 0 ? errno : 0;
}

int
pgha_neighbours_tell(int fd, const PghaInterface *interface, const PghaIp *ip)
{
	static const unsigned char no_mac[PGHA_MAC_SIZE] = {0};
	static const struct in6_addr all_nodes = {{{0xff, 0x02, [15] = 1}}};
	NdPacket	packet = {.type = ND_NEIGHBOR_ADVERT, .flags = ND_NA_FLAG_OVERRIDE,
		.option = ND_OPT_TARGET_LINKADDR, .option_size = 1};
	int			result;

	if (ip->family == AF_INET6)
	{
		memcpy(packet.target, ip->bytes, 16);
		return send_nd(fd, interface, &packet, &all_nodes, ip->bytes);
	}
	result = send_arp(fd, interface, ARPOP_REQUEST, ip->bytes, no_mac, ip->bytes);
	if (result == 0)
		result = send_arp(fd, interface, ARPOP_REPLY, ip->bytes, interface->mac, ip->bytes);
	return result;
}

static int
send_question(int fd, const PghaInterface *interface, const PghaIp *ip)
{
	static const unsigned char nothing[PGHA_MAC_SIZE] = {0};
	struct in6_addr group = {{{0xff, 0x02, [11] = 1, [12] = 0xff}}};
	NdPacket	packet = {.type = ND_NEIGHBOR_SOLICIT, .option = ND_OPT_SOURCE_LINKADDR, .option_size = 1};

	if (ip->family == AF_INET)
		return send_arp(fd, interface, ARPOP_REQUEST, nothing, nothing, ip->bytes);
	/* The group of those whose address ends like this one. */
	memcpy(&group.s6_addr[13], &ip->bytes[13], 3);
	memcpy(packet.target, ip->bytes, 16);
	return send_nd(fd, interface, &packet, &group, NULL);
}

/* ---- answers ---- */

static bool
read_arp_answer(int fd, const PghaIp *ip, unsigned char *mac)
{
	ArpPacket	packet;
	struct sockaddr_ll from;
	socklen_t	from_size = sizeof(from);

	if (recvfrom(fd, &packet, sizeof(packet), 0, (struct sockaddr *) &from, &from_size) != (ssize_t) sizeof(packet) ||
		from.sll_pkttype == PACKET_OUTGOING || packet.hardware_size != PGHA_MAC_SIZE || packet.protocol_size != 4 ||
		memcmp(packet.sender_ip, ip->bytes, 4) != 0)
		return false;
	memcpy(mac, packet.sender_mac, PGHA_MAC_SIZE);
	return true;
}

/* Did it come over this interface, and from no farther than the link? */
static bool
is_from_link(struct msghdr *message, const PghaInterface *interface)
{
	bool		near = false;
	bool		here = false;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header))
	{
		if (header->cmsg_level != IPPROTO_IPV6)
			continue;
		if (header->cmsg_type == IPV6_HOPLIMIT)
		{
			int			hops;

			memcpy(&hops, CMSG_DATA(header), sizeof(hops));
			near = hops == ND_HOP_LIMIT;
		}
		else if (header->cmsg_type == IPV6_PKTINFO)
		{
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(header), sizeof(info));
			here = (int) info.ipi6_ifindex == interface->index;
		}
	}
	return near && here;
}

static bool
read_nd_answer(int fd, const PghaInterface *interface, const PghaIp *ip, unsigned char *mac)
{
	NdPacket	packet;
	struct iovec data = {.iov_base = &packet, .iov_len = sizeof(packet)};
	_Alignas(struct cmsghdr) char control[128];
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};

	if (recvmsg(fd, &message, 0) < (ssize_t) sizeof(packet) || !is_from_link(&message, interface) ||
		packet.type != ND_NEIGHBOR_ADVERT || memcmp(packet.target, ip->bytes, 16) != 0 ||
		packet.option != ND_OPT_TARGET_LINKADDR || packet.option_size != 1)
		return false;
	memcpy(mac, packet.mac, PGHA_MAC_SIZE);
	return true;
}

/* Waits until `end` for an answer that is not our own. */
static bool
wait_answer(int fd, const PghaInterface *interface, const PghaIp *ip, long long end, unsigned char *mac)
{
	/* What has come in while this process was not running is read, too; not a flood. */
	for (int late = 0; late < LATE_PACKETS;)
	{
		struct pollfd set = {.fd = fd, .events = POLLIN};
		long long	left = end - pgha_awake_ms();
		bool		answered;

		if (poll(&set, 1, left > 0 ? (int) left : 0) <= 0)
		{
			if (left <= 0)
				return false;
			continue;
		}
		late += left <= 0;
		answered = ip->family == AF_INET6 ? read_nd_answer(fd, interface, ip, mac) : read_arp_answer(fd, ip, mac);
		if (answered && memcmp(mac, interface->mac, PGHA_MAC_SIZE) != 0)
			return true;
	}
	return false;
}

int
pgha_neighbours_ask(int fd, const PghaInterface *interface, const PghaIp *ip,
					int limit_ms, unsigned char *mac)
{
	long long	start = pgha_awake_ms();

	/* Twice, as one packet may be lost. */
	for (int i = 1; i <= 2; i++)
	{
		int			result = send_question(fd, interface, ip);

		if (result != 0)
			return result;
		if (wait_answer(fd, interface, ip, start + (long long) limit_ms * i / 2, mac))
			return 0;
	}
	return ENOENT;
}
