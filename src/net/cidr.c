/*
 * cidr.c
 *		Does a subnet contain an address?
 *
 * For the interfaces of an EC2 instance (ec2_node.c).  Pure: it reads nothing but its
 * arguments, which come over the network.
 */
#include "cidr.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "../common/fields.h"

#define MAX_ADDRESS_BYTES	16

/* Bytes of the address, 0 if it is none. */
static int
parse_address(const char *text, unsigned char *bytes)
{
	if (inet_pton(AF_INET, text, bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
}

bool
pgha_cidr_contains(const char *cidr, const char *ip)
{
	unsigned char subnet[MAX_ADDRESS_BYTES];
	unsigned char address[MAX_ADDRESS_BYTES];
	char		base[INET6_ADDRSTRLEN];
	const char *slash = strchr(cidr, '/');
	uint64_t	bits;
	int			bytes;

	if (slash == NULL || (size_t) (slash - cidr) >= sizeof(base) ||
		!pgha_parse_uint64(slash + 1, &bits))
		return false;
	memcpy(base, cidr, (size_t) (slash - cidr));
	base[slash - cidr] = '\0';
	bytes = parse_address(base, subnet);
	if (bytes == 0 || bits > (uint64_t) bytes * 8 || parse_address(ip, address) != bytes)
		return false;
	for (uint64_t bit = 0; bit < bits; bit++)
	{
		int			mask = 0x80 >> (bit % 8);

		if ((subnet[bit / 8] & mask) != (address[bit / 8] & mask))
			return false;
	}
	return true;
}
