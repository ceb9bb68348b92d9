/*
 * address_spec.c
 *		The address that follows the primary: the text of pgha.address, and of an
 *		ADDRESS of `pgha vip`.
 *
 * A text is taken apart from the outside to the inside: the kind ends at the
 * first colon, what is behind the last @ says where, the rest is an address with
 * or without a prefix length.  Only addresses that another host can reach at a
 * fixed place are accepted; a mistake here would else be found at the first
 * failover.
 */
#include "address_spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "errors.h"

/* How the kinds are written, for messages. */
static const struct
{
	const char *word;
	const char *example;
}			kinds[] = {
	[PGHA_ADDRESS_NONE] = {"", ""},
	[PGHA_ADDRESS_EC2] = {"ec2", "ec2:10.0.3.10"},
	[PGHA_ADDRESS_EC2_ELASTIC] = {"ec2-elastic", "ec2-elastic:eipalloc-0123456789abcdef0"},
	[PGHA_ADDRESS_EC2_ROUTE] = {"ec2-route", "ec2-route:10.9.0.1/32@rtb-0123456789abcdef0"},
	[PGHA_ADDRESS_LOCAL] = {"local", "local:10.0.3.10/24@eth0"}
};

#define KINDS ((int) (sizeof(kinds) / sizeof(kinds[0])))

/* A parse under way: what is being read, and where the sentence goes. */
typedef struct Parse
{
	PghaAddressSpec *spec;
	const char *text;
	char	   *error;
	size_t		error_size;
} Parse;

const char *
pgha_address_kind_word(PghaAddressKind kind)
{
	return kinds[kind].word;
}

PghaAddressKind
pgha_address_kind_find(const char *word, size_t length)
{
	for (int i = PGHA_ADDRESS_NONE + 1; i < KINDS; i++)
	{
		if (strlen(kinds[i].word) == length && memcmp(kinds[i].word, word, length) == 0)
			return (PghaAddressKind) i;
	}
	return PGHA_ADDRESS_NONE;
}

/* Says what is wrong with the text and what to write. */
static bool
refuse(const Parse *parse, const char *why)
{
	PghaAddressKind kind = parse->spec->kind != PGHA_ADDRESS_NONE ? parse->spec->kind : PGHA_ADDRESS_LOCAL;
	char		shown[81];
	size_t		length = 0;

	for (; parse->text[length] != '\0' && length < sizeof(shown) - 1; length++)
		shown[length] = isprint((unsigned char) parse->text[length]) ? parse->text[length] : '?';
	shown[length] = '\0';
	return pgha_fail(parse->error, parse->error_size, "\"%s\" is no usable address: %s; write for example \"%s\".",
					 shown, why, kinds[kind].example);
}

/* Copies `length` characters, if they fit and there are any. */
static bool
take(char *to, size_t size, const char *from, size_t length)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(to, from, length);
	to[length] = '\0';
	return true;
}

/* ---- the parts ---- */

/* The kernel's rule for names of interfaces, without characters that need quoting. */
static bool
parse_interface(const Parse *parse, const char *name, size_t length)
{
	if (!take(parse->spec->interface, sizeof(parse->spec->interface), name, length))
		return refuse(parse, "the name of an interface has 1 to 15 characters");
	for (size_t i = 0; i < length; i++)
	{
		if (!isalnum((unsigned char) name[i]) && strchr("._-+", name[i]) == NULL)
			return refuse(parse, "the name of an interface has letters, digits and . _ - + (an alias like eth0:0 is none)");
	}
	if (strcmp(parse->spec->interface, ".") == 0 || strcmp(parse->spec->interface, "..") == 0)
		return refuse(parse, "that is no name of an interface");
	return true;
}

/* An identifier of EC2: its type, a hyphen, letters and digits. */
static bool
parse_id(char *to, size_t size, const char *type, const char *id, size_t length)
{
	size_t		skip = strlen(type);

	if (length <= skip || strncmp(id, type, skip) != 0 || !take(to, size, id, length))
		return false;
	for (size_t i = skip; i < length; i++)
	{
		if (!isalnum((unsigned char) id[i]))
			return false;
	}
	return true;
}

static bool
parse_tables(const Parse *parse, const char *list)
{
	PghaAddressSpec *spec = parse->spec;

	for (;;)
	{
		size_t		length = strcspn(list, ",");

		if (spec->tables == PGHA_MAX_ROUTE_TABLES)
			return refuse(parse, "there are more than 16 route tables");
		if (!parse_id(spec->table[spec->tables], sizeof(spec->table[0]), "rtb-", list, length))
			return refuse(parse, "behind the @ must be route tables (rtb-...), separated by commas without blanks");
		for (int i = 0; i < spec->tables; i++)
		{
			if (strcmp(spec->table[i], spec->table[spec->tables]) == 0)
				return refuse(parse, "a route table is given twice");
		}
		spec->tables++;
		if (list[length] == '\0')
			return true;
		list += length + 1;
	}
}

/* Are the bits behind the prefix all `value`? */
static bool
host_bits_are(const unsigned char *address, int bytes, int prefix, int value)
{
	for (int bit = prefix; bit < bytes * 8; bit++)
	{
		if (((address[bit / 8] >> (7 - bit % 8)) & 1) != value)
			return false;
	}
	return true;
}

/* What keeps an address from being one host's, or NULL. */
static const char *
unfit_ipv4(const unsigned char *address, int prefix)
{
	if (address[0] == 0)
		return "an address that begins with 0 is no host's";
	if (address[0] == 127)
		return "no other host can reach a loopback address";
	if (address[0] >= 224)
		return "a multicast or reserved address is no host's";
	if (prefix <= 30 && host_bits_are(address, 4, prefix, 0))
		return "with this prefix length it is the address of the network";
	if (prefix <= 30 && host_bits_are(address, 4, prefix, 1))
		return "with this prefix length it is the network's broadcast address";
	return NULL;
}

static const char *
unfit_ipv6(const unsigned char *address, int prefix)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (host_bits_are(address, 16, 0, 0))
		return "the unspecified address is no host's";
	if (host_bits_are(address, 15, 0, 0) && address[15] == 1)
		return "no other host can reach a loopback address";
	if (address[0] == 0xff)
		return "a multicast address is no host's";
	if (address[0] == 0xfe && (address[1] & 0xc0) == 0x80)
		return "a link-local address cannot be reached without naming an interface";
	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		return "write an IPv4 address as such";
	if (prefix <= 126 && host_bits_are(address, 16, prefix, 0))
		return "with this prefix length it is the routers' anycast address";
	return NULL;
}

/* Digits only, at most three. */
static bool
parse_prefix(const char *text, size_t length, int limit, int *prefix)
{
	int			value = 0;

	if (length == 0 || length > 3)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (!isdigit((unsigned char) text[i]))
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*prefix = value;
	return value >= 1 && value <= limit;
}

/* "address", "[address]", and "/prefix" behind it. */
static bool
parse_ip(const Parse *parse, const char *text, size_t length)
{
	PghaAddressSpec *spec = parse->spec;
	const char *slash = memchr(text, '/', length);
	size_t		address_length = slash != NULL ? (size_t) (slash - text) : length;
	char		ip[sizeof(spec->ip)];
	unsigned char address[16];
	int			limit;
	const char *unfit;

	if (address_length >= 2 && text[0] == '[' && text[address_length - 1] == ']')
	{
		if (!take(ip, sizeof(ip), text + 1, address_length - 2) || strchr(ip, ':') == NULL)
			return refuse(parse, "between brackets must be an IPv6 address");
	}
	else if (!take(ip, sizeof(ip), text, address_length))
		return refuse(parse, "the IP address is missing or too long");
	spec->family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
	limit = spec->family == AF_INET6 ? 128 : 32;
	spec->prefix = limit;
	if (inet_pton(spec->family, ip, address) != 1)
		return refuse(parse, "it has no numeric IP address");
	if (inet_ntop(spec->family, address, spec->ip, sizeof(spec->ip)) == NULL)
		return refuse(parse, "it has no numeric IP address");
	if (slash != NULL && !parse_prefix(slash + 1, length - address_length - 1, limit, &spec->prefix))
		return refuse(parse, spec->family == AF_INET6 ? "the prefix length is not between 1 and 128" :
					  "the prefix length is not between 1 and 32");
	unfit = spec->family == AF_INET6 ? unfit_ipv6(address, spec->prefix) : unfit_ipv4(address, spec->prefix);
	return unfit == NULL || refuse(parse, unfit);
}

/* ---- the kinds ---- */

static bool
parse_body(const Parse *parse, const char *body)
{
	PghaAddressSpec *spec = parse->spec;
	const char *at = strchr(body, '@');
	size_t		length = at != NULL ? (size_t) (at - body) : strlen(body);

	switch (spec->kind)
	{
		case PGHA_ADDRESS_NONE:
			break;
		case PGHA_ADDRESS_EC2_ELASTIC:
			return parse_id(spec->allocation, sizeof(spec->allocation), "eipalloc-", body, strlen(body)) ||
				refuse(parse, "behind the colon must be the allocation of the Elastic IP (eipalloc-...)");
		case PGHA_ADDRESS_EC2:
			return parse_ip(parse, body, length) &&
				(spec->family == AF_INET ||
				 refuse(parse, "EC2 does not move an IPv6 address in one step, it must be IPv4")) &&
				(spec->prefix == 32 || refuse(parse, "on EC2 the prefix length is 32")) &&
				(at == NULL || parse_interface(parse, at + 1, strlen(at + 1)));
		case PGHA_ADDRESS_EC2_ROUTE:
			return parse_ip(parse, body, length) &&
				(spec->family == AF_INET || refuse(parse, "it must be an IPv4 address")) &&
				(spec->prefix == 32 || refuse(parse, "the prefix length of the route is 32")) &&
				(at != NULL || refuse(parse, "the route tables are missing")) &&
				parse_tables(parse, at + 1);
		case PGHA_ADDRESS_LOCAL:
			return parse_ip(parse, body, length) &&
				(at != NULL || refuse(parse, "the interface is missing")) &&
				parse_interface(parse, at + 1, strlen(at + 1));
	}
	return true;
}

bool
pgha_address_spec_parse(const char *text, PghaAddressSpec *spec, char *error, size_t error_size)
{
	Parse		parse = {.spec = spec, .text = text, .error = error, .error_size = error_size};
	size_t		length = strcspn(text, ":");

	memset(spec, 0, sizeof(*spec));
	if (*text == '\0')
		return true;
	if (text[length] == ':')
		spec->kind = pgha_address_kind_find(text, length);
	if (spec->kind == PGHA_ADDRESS_NONE)
		return refuse(&parse, "it does not begin with \"ec2:\", \"ec2-elastic:\", \"ec2-route:\" or \"local:\"");
	return parse_body(&parse, text + length + 1);
}

bool
pgha_address_spec_format(const PghaAddressSpec *spec, char *text, size_t size)
{
	char		where[PGHA_ADDRESS_TEXT_SIZE] = "";
	size_t		used = 0;
	int			length;

	for (int i = 0; i < spec->tables; i++)
		used += (size_t) snprintf(where + used, sizeof(where) - used, "%c%s", i == 0 ? '@' : ',', spec->table[i]);
	if (spec->interface[0] != '\0')
		(void) snprintf(where, sizeof(where), "@%s", spec->interface);

	if (spec->kind == PGHA_ADDRESS_NONE)
		length = snprintf(text, size, "%s", "");
	else if (spec->kind == PGHA_ADDRESS_EC2_ELASTIC)
		length = snprintf(text, size, "%s:%s", kinds[spec->kind].word, spec->allocation);
	else if (spec->kind == PGHA_ADDRESS_EC2)
		length = snprintf(text, size, "%s:%s%s", kinds[spec->kind].word, spec->ip, where);
	else
		length = snprintf(text, size, "%s:%s/%d%s", kinds[spec->kind].word, spec->ip, spec->prefix, where);
	return length >= 0 && (size_t) length < size;
}

bool
pgha_address_spec_is_host(const PghaAddressSpec *spec, const char *host)
{
	unsigned char ours[16];
	unsigned char other[16];
	char		plain[64];

	/* A link-local address has its interface behind a "%". */
	(void) snprintf(plain, sizeof(plain), "%.*s", (int) strcspn(host, "%"), host);
	return spec->ip[0] != '\0' && inet_pton(spec->family, spec->ip, ours) == 1 &&
		inet_pton(spec->family, plain, other) == 1 &&
		memcmp(ours, other, spec->family == AF_INET6 ? 16 : 4) == 0;
}
