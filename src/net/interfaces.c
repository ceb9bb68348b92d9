/*
 * interfaces.c
 *		Network interfaces of this host and their addresses, over netlink.
 *
 * Each question opens a socket, asks, reads all answers and closes it.  Nothing
 * is kept, so that nothing can be out of date, and ip(8) is not run: its exit
 * codes do not tell "is there already" from a failure.
 *
 * An address of ours is told from one that the host has otherwise by two marks in
 * the kernel, which go with the address: IPv4 has a label that ends in "pgha",
 * which `ip addr` shows; both families have a protocol number (Linux 5.18), shown
 * as "proto".  An older kernel ignores the latter; there an IPv6 address counts as
 * ours if it is put there as pgha does it: for ever, not asked about, deprecated.
 */
#include "interfaces.h"

#include <errno.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LABEL_SUFFIX	"pgha"

/* Who has put an address there; not in /etc/iproute2/rt_addrprotos.  Older headers do not have the attribute. */
#define ATTRIBUTE_PROTO	11
#define PROTO_PGHA		169

/* A dump that the tables changed under is repeated so often. */
#define DUMP_TRIES		5

/* The kernel answers at once; a limit all the same. */
#define ANSWER_LIMIT_S	2

typedef struct Request
{
	struct nlmsghdr header;
	union
	{
		struct ifinfomsg link;
		struct ifaddrmsg address;
	}			body;
	char		attributes[128];
} Request;

/* Called with each message of an answer. */
typedef void (*Visit) (const struct nlmsghdr *message, void *arg);

/* ---- talking to the kernel ---- */

static void
add_attribute(Request *request, unsigned short type, const void *value, size_t size)
{
	struct rtattr *attribute = (struct rtattr *) ((char *) request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short) RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), value, size);
	request->header.nlmsg_len = (uint32_t) (NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* Handles one datagram; true when the answer is complete, with its outcome in *result. */
static bool
read_messages(const char *buffer, size_t length, Visit visit, void *arg, int *result)
{
	for (const struct nlmsghdr *message = (const struct nlmsghdr *) buffer; NLMSG_OK(message, length);
		 message = NLMSG_NEXT(message, length))
	{
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			*result = EAGAIN;
		if (message->nlmsg_type == NLMSG_ERROR)
		{
			*result = -((const struct nlmsgerr *) NLMSG_DATA(message))->error;
			return true;
		}
		if (message->nlmsg_type == NLMSG_DONE)
			return true;
		if (visit != NULL)
			visit(message, arg);
	}
	return false;
}

static int
receive_answer(int fd, Visit visit, void *arg)
{
	int			result = 0;

	for (;;)
	{
		_Alignas(struct nlmsghdr) char buffer[32768];
		struct sockaddr_nl from;
		socklen_t	from_size = sizeof(from);
		ssize_t		length = recvfrom(fd, buffer, sizeof(buffer), MSG_TRUNC, (struct sockaddr *) &from, &from_size);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? ETIMEDOUT : errno;
		if ((size_t) length > sizeof(buffer))
			return EMSGSIZE;
		/* Other processes can send to this socket, too. */
		if (from.nl_pid != 0)
			continue;
		if (read_messages(buffer, (size_t) length, visit, arg, &result))
			return result;
	}
}

static int
talk(Request *request, Visit visit, void *arg)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
	int			fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int			result;

	if (fd < 0)
		return errno;
	request->header.nlmsg_seq = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
		sendto(fd, request, request->header.nlmsg_len, 0, (struct sockaddr *) &kernel, sizeof(kernel)) < 0)
		result = errno;
	else
		result = receive_answer(fd, visit, arg);
	(void) close(fd);
	return result;
}

/* Begins a request; the body is zero. */
static void
begin(Request *request, unsigned short type, unsigned short flags, size_t body_size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | flags;
	request->header.nlmsg_len = (uint32_t) NLMSG_LENGTH(body_size);
}

/* ---- interfaces ---- */

typedef struct LinkSearch
{
	const char *name;			/* or NULL */
	const unsigned char *mac;	/* or NULL */
	int			index;			/* or 0 */
	PghaInterface found;		/* index 0: none */
	bool		found_in_other; /* it is part of a bridge, bond or the like */
} LinkSearch;

static void
visit_link(const struct nlmsghdr *message, void *arg)
{
	LinkSearch *search = arg;
	const struct ifinfomsg *info = NLMSG_DATA(message);
	size_t		length = IFLA_PAYLOAD(message);
	PghaInterface one = {.index = info->ifi_index, .up = (info->ifi_flags & IFF_UP) != 0};
	bool		in_other = false;

	if (message->nlmsg_type != RTM_NEWLINK)
		return;
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, length); a = RTA_NEXT(a, length))
	{
		if (a->rta_type == IFLA_IFNAME)
			(void) snprintf(one.name, sizeof(one.name), "%.*s", (int) RTA_PAYLOAD(a), (const char *) RTA_DATA(a));
		else if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == PGHA_MAC_SIZE)
		{
			memcpy(one.mac, RTA_DATA(a), PGHA_MAC_SIZE);
			one.ethernet = info->ifi_type == ARPHRD_ETHER && (info->ifi_flags & (IFF_NOARP | IFF_LOOPBACK)) == 0;
		}
		else if (a->rta_type == IFLA_MASTER)
			in_other = true;
	}
	if ((search->name != NULL && strcmp(search->name, one.name) != 0) ||
		(search->mac != NULL && memcmp(search->mac, one.mac, PGHA_MAC_SIZE) != 0) ||
		(search->index != 0 && search->index != one.index))
		return;
	/* Devices come before the VLANs that were made of them. */
	if (search->found.index == 0 || (search->found_in_other && !in_other))
	{
		search->found = one;
		search->found_in_other = in_other;
	}
}

static int
find_link(LinkSearch *search, PghaInterface *interface)
{
	int			result = EAGAIN;

	for (int i = 0; i < DUMP_TRIES && result == EAGAIN; i++)
	{
		Request		request;

		begin(&request, RTM_GETLINK, NLM_F_DUMP, sizeof(request.body.link));
		memset(&search->found, 0, sizeof(search->found));
		result = talk(&request, visit_link, search);
	}
	if (result == 0 && search->found.index == 0)
		result = ENODEV;
	*interface = search->found;
	return result;
}

int
pgha_interface_by_name(const char *name, PghaInterface *interface)
{
	LinkSearch	search = {.name = name};

	return find_link(&search, interface);
}

int
pgha_interface_by_index(int index, PghaInterface *interface)
{
	LinkSearch	search = {.index = index};

	return find_link(&search, interface);
}

int
pgha_interface_by_mac(const char *mac, PghaInterface *interface)
{
	unsigned int part[PGHA_MAC_SIZE];
	unsigned char bytes[PGHA_MAC_SIZE];
	LinkSearch	search = {.mac = bytes};

	if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]) != PGHA_MAC_SIZE)
		return EINVAL;
	for (int i = 0; i < PGHA_MAC_SIZE; i++)
		bytes[i] = (unsigned char) part[i];
	return find_link(&search, interface);
}

/* ---- addresses ---- */

static size_t
ip_size(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

typedef struct AddressSearch
{
	const PghaIp *ip;
	int			index;			/* 0: any */
	bool		only_ours;
	bool		only_unmarked;	/* as former versions have put IPv6 addresses there */
	PghaAssigned found;			/* index 0: none */
} AddressSearch;

/* The marks of an address. */
typedef struct Marks
{
	int			family;
	const char *label;
	unsigned char proto;		/* 0: none, or the kernel is too old */
	bool		like_ours;		/* IPv6: deprecated for ever, not asked about */
} Marks;

/* Does this kernel keep the protocol of an address? */
static bool
kernel_keeps_proto(void)
{
	struct utsname name;
	int			major;
	int			minor;

	return uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2 ||
		major > 5 || (major == 5 && minor >= 18);
}

static bool
is_ours(const Marks *marks)
{
	const char *colon = strrchr(marks->label, ':');

	if (marks->proto == PROTO_PGHA)
		return true;
	if (marks->family == AF_INET)
		return strcmp(colon != NULL ? colon + 1 : marks->label, LABEL_SUFFIX) == 0;
	return marks->proto == 0 && marks->like_ours && !kernel_keeps_proto();
}

static void
visit_address(const struct nlmsghdr *message, void *arg)
{
	AddressSearch *search = arg;
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	size_t		length = IFA_PAYLOAD(message);
	PghaAssigned one = {.index = (int) info->ifa_index, .prefix = info->ifa_prefixlen};
	const void *local = NULL;
	const void *address = NULL;
	uint32_t	flags = info->ifa_flags;
	struct ifa_cacheinfo life = {0};
	Marks		marks = {.family = info->ifa_family};

	if (message->nlmsg_type != RTM_NEWADDR || info->ifa_family != search->ip->family)
		return;
	for (const struct rtattr *a = IFA_RTA(info); RTA_OK(a, length); a = RTA_NEXT(a, length))
	{
		/* On a point-to-point link IFA_ADDRESS is the other end's. */
		if (a->rta_type == IFA_LOCAL && RTA_PAYLOAD(a) == ip_size(info->ifa_family))
			local = RTA_DATA(a);
		else if (a->rta_type == IFA_ADDRESS && RTA_PAYLOAD(a) == ip_size(info->ifa_family))
			address = RTA_DATA(a);
		else if (a->rta_type == IFA_LABEL)
			(void) snprintf(one.label, sizeof(one.label), "%.*s", (int) RTA_PAYLOAD(a), (const char *) RTA_DATA(a));
		else if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(flags))
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
		else if (a->rta_type == IFA_CACHEINFO && RTA_PAYLOAD(a) == sizeof(life))
			memcpy(&life, RTA_DATA(a), sizeof(life));
		else if (a->rta_type == ATTRIBUTE_PROTO && RTA_PAYLOAD(a) == sizeof(marks.proto))
			memcpy(&marks.proto, RTA_DATA(a), sizeof(marks.proto));
	}
	marks.label = one.label;
	marks.like_ours = (flags & IFA_F_NODAD) != 0 && life.ifa_prefered == 0 && life.ifa_valid == UINT32_MAX;
	one.ours = is_ours(&marks);
	if ((search->only_ours && !one.ours) ||
		(search->only_unmarked && (one.ours || marks.family != AF_INET6 || marks.proto != 0 || !marks.like_ours)))
		return;
	if (local == NULL)
		local = address;
	if (local == NULL || memcmp(local, search->ip->bytes, ip_size(info->ifa_family)) != 0 ||
		(search->index != 0 && search->index != one.index) || search->found.index != 0)
		return;
	one.unusable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
	search->found = one;
}

static int
find_address(AddressSearch *search)
{
	int			result = EAGAIN;

	for (int i = 0; i < DUMP_TRIES && result == EAGAIN; i++)
	{
		Request		request;

		begin(&request, RTM_GETADDR, NLM_F_DUMP, sizeof(request.body.address));
		request.body.address.ifa_family = (unsigned char) search->ip->family;
		memset(&search->found, 0, sizeof(search->found));
		result = talk(&request, visit_address, search);
	}
	return result == 0 && search->found.index == 0 ? ENOENT : result;
}

int
pgha_assigned_find(const PghaIp *ip, int index, PghaAssigned *found)
{
	AddressSearch search = {.ip = ip, .index = index};
	int			result = find_address(&search);

	*found = search.found;
	return result;
}

int
pgha_assigned_find_ours(const PghaIp *ip, int index, PghaAssigned *found)
{
	AddressSearch search = {.ip = ip, .index = index, .only_ours = true};
	int			result = find_address(&search);

	*found = search.found;
	return result;
}

static int
put(const PghaInterface *interface, const PghaIp *ip, int prefix, unsigned short how)
{
	static const struct ifa_cacheinfo deprecated = {.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
	static const unsigned char proto = PROTO_PGHA;
	Request		request;
	char		label[IF_NAMESIZE + sizeof(LABEL_SUFFIX)];
	uint32_t	flags = IFA_F_NODAD;

	begin(&request, RTM_NEWADDR, how | NLM_F_ACK, sizeof(request.body.address));
	request.body.address.ifa_family = (unsigned char) ip->family;
	request.body.address.ifa_prefixlen = (unsigned char) prefix;
	request.body.address.ifa_index = (unsigned int) interface->index;
	add_attribute(&request, IFA_LOCAL, ip->bytes, ip_size(ip->family));
	add_attribute(&request, IFA_ADDRESS, ip->bytes, ip_size(ip->family));
	add_attribute(&request, ATTRIBUTE_PROTO, &proto, sizeof(proto));
	if (ip->family == AF_INET6)
	{
		add_attribute(&request, IFA_FLAGS, &flags, sizeof(flags));
		add_attribute(&request, IFA_CACHEINFO, &deprecated, sizeof(deprecated));
	}
	else
	{
		/* A long name leaves no room for itself in the label. */
		if (snprintf(label, sizeof(label), "%s:" LABEL_SUFFIX, interface->name) >= IF_NAMESIZE)
			(void) strcpy(label, LABEL_SUFFIX);
		add_attribute(&request, IFA_LABEL, label, strlen(label) + 1);
	}
	return talk(&request, NULL, NULL);
}

int
pgha_assigned_add(const PghaInterface *interface, const PghaIp *ip, int prefix)
{
	return put(interface, ip, prefix, NLM_F_CREATE | NLM_F_EXCL);
}

void
pgha_assigned_adopt(const PghaIp *ip, int index)
{
	AddressSearch search = {.ip = ip, .index = index, .only_unmarked = true};
	PghaInterface interface = {.index = index};

	if (ip->family == AF_INET6 && find_address(&search) == 0)
		(void) put(&interface, ip, search.found.prefix, NLM_F_REPLACE);
}

int
pgha_assigned_delete(const PghaIp *ip, const PghaAssigned *assigned)
{
	Request		request;

	begin(&request, RTM_DELADDR, NLM_F_ACK, sizeof(request.body.address));
	request.body.address.ifa_family = (unsigned char) ip->family;
	request.body.address.ifa_prefixlen = (unsigned char) assigned->prefix;
	request.body.address.ifa_index = (unsigned int) assigned->index;
	add_attribute(&request, IFA_LOCAL, ip->bytes, ip_size(ip->family));
	return talk(&request, NULL, NULL);
}

int
pgha_assigned_may_change(void)
{
	PghaIp		ip = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
	PghaAssigned nowhere = {.index = INT_MAX, .prefix = 32};
	int			result = pgha_assigned_delete(&ip, &nowhere);

	/* The right is looked at before the interface, which does not exist. */
	return result == ENODEV ? 0 : result;
}
