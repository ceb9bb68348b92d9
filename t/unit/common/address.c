/*
 * address.c
 *		pgha.address.
 */
#include "test.h"

#include "../../../src/common/address_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void
test_address_spec(void)
{
	/* What is written, and what is written back. */
	static const struct
	{
		const char *text;
		const char *canonical;	/* NULL: the same */
		PghaAddressKind kind;
		const char *ip;
		int			prefix;
		const char *interface;
	}			good[] = {
		{"", NULL, PGHA_ADDRESS_NONE, "", 0, ""},
		{"ec2:10.0.3.10", NULL, PGHA_ADDRESS_EC2, "10.0.3.10", 32, ""},
		{"ec2:10.0.3.10@eth0", NULL, PGHA_ADDRESS_EC2, "10.0.3.10", 32, "eth0"},
		{"ec2:10.0.3.10/32@eth0", "ec2:10.0.3.10@eth0", PGHA_ADDRESS_EC2, "10.0.3.10", 32, "eth0"},
		{"ec2-elastic:eipalloc-0123456789abcdef0", NULL, PGHA_ADDRESS_EC2_ELASTIC, "", 0, ""},
		{"ec2-route:10.9.0.1/32@rtb-a,rtb-b", NULL, PGHA_ADDRESS_EC2_ROUTE, "10.9.0.1", 32, ""},
		{"ec2-route:10.9.0.1@rtb-0123", "ec2-route:10.9.0.1/32@rtb-0123", PGHA_ADDRESS_EC2_ROUTE, "10.9.0.1", 32, ""},
		{"local:10.0.3.10/24@eth0", NULL, PGHA_ADDRESS_LOCAL, "10.0.3.10", 24, "eth0"},
		{"local:10.0.3.10@bond0.5", "local:10.0.3.10/32@bond0.5", PGHA_ADDRESS_LOCAL, "10.0.3.10", 32, "bond0.5"},
		{"local:10.0.3.0/31@eth0", NULL, PGHA_ADDRESS_LOCAL, "10.0.3.0", 31, "eth0"},
		{"local:[fd00::10]/64@eth0", "local:fd00::10/64@eth0", PGHA_ADDRESS_LOCAL, "fd00::10", 64, "eth0"},
		{"local:[FD00:0:0::10]@eth0", "local:fd00::10/128@eth0", PGHA_ADDRESS_LOCAL, "fd00::10", 128, "eth0"},
		{"local:fd00::10/64@eth0", NULL, PGHA_ADDRESS_LOCAL, "fd00::10", 64, "eth0"},
	};
	/* What is refused, and a word of the sentence. */
	static const char *const bad[][2] = {
		{"10.0.3.10", "does not begin with"}, {"fd00::10", "does not begin with"},
		{"elastic:10.0.3.10", "does not begin with"}, {" ec2:10.0.3.10", "does not begin with"},
		{"ec2:", "missing"}, {"ec2:db", "numeric"}, {"ec2:10.0.3", "numeric"}, {"ec2:010.0.3.10", "numeric"},
		{"ec2:fd00::10", "IPv6"}, {"ec2:10.0.3.10/24", "32"}, {"ec2:10.0.3.10@", "1 to 15"},
		{"ec2:10.0.3.10@eth0:0", "alias"}, {"ec2:10.0.3.10@eth0 ", "interface"}, {"ec2:10.0.3.10@a/b", "interface"},
		{"ec2:10.0.3.10@..", "interface"}, {"ec2:10.0.3.10@1234567890123456", "1 to 15"},
		{"ec2-elastic:", "eipalloc"}, {"ec2-elastic:52.1.2.3", "eipalloc"}, {"ec2-elastic:eipalloc-", "eipalloc"},
		{"ec2-elastic:eipalloc-12&Action=X", "eipalloc"}, {"ec2-elastic:eipalloc-1@eth0", "eipalloc"},
		{"ec2-elastic:eipalloc-0123456789012345678901234567890123456789012345678901234", "eipalloc"},
		{"ec2-route:10.9.0.1/32", "missing"}, {"ec2-route:10.9.0.1/24@rtb-a", "32"}, {"ec2-route:10.9.0.1/32@", "rtb-"},
		{"ec2-route:10.9.0.1/32@rtb-a,", "rtb-"}, {"ec2-route:10.9.0.1/32@rtb-a, rtb-b", "rtb-"},
		{"ec2-route:10.9.0.1/32@rtb-a,rtb-a", "twice"}, {"ec2-route:10.9.0.1/32@eth0", "rtb-"},
		{"ec2-route:fd00::1/128@rtb-a", "IPv4"},
		{"ec2-route:10.9.0.1@rtb-1,rtb-2,rtb-3,rtb-4,rtb-5,rtb-6,rtb-7,rtb-8,rtb-9,rtb-10,rtb-11,rtb-12,rtb-13,rtb-14,rtb-15,rtb-16,rtb-17", "16"},
		{"local:10.0.3.10", "interface is missing"}, {"local:10.0.3.10/33@eth0", "between 1 and 32"},
		{"local:10.0.3.10/0@eth0", "between 1 and 32"}, {"local:10.0.3.10/@eth0", "between 1 and 32"},
		{"local:10.0.3.10/+24@eth0", "between 1 and 32"}, {"local:10.0.3.10/24/24@eth0", "between 1 and 32"},
		{"local:fd00::10/129@eth0", "between 1 and 128"}, {"local:[10.0.3.10]/24@eth0", "brackets"},
		{"local:[fd00::10/64@eth0", "numeric"}, {"local:[]@eth0", "brackets"}, {"local:[@eth0", "numeric"},
		{"local:10.0.3.0/24@eth0", "network"}, {"local:10.0.3.255/24@eth0", "broadcast"}, {"local:127.0.0.1@eth0", "loopback"},
		{"local:224.0.0.1@eth0", "multicast"}, {"local:255.255.255.255@eth0", "multicast"}, {"local:0.0.0.0@eth0", "begins with 0"},
		{"local:::@eth0", "unspecified"}, {"local:::1@eth0", "loopback"}, {"local:ff02::1@eth0", "multicast"},
		{"local:fe80::1@eth0", "link-local"}, {"local:::ffff:10.0.3.10@eth0", "IPv4"}, {"local:fd00::/64@eth0", "anycast"},
		{"local:10.0.3.10@eth0@eth1", "interface"},
	};
	PghaAddressSpec spec;
	char		error[512];
	char		text[PGHA_ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		char	   *one = copy(good[i].text);
		bool		parsed = pgha_address_spec_parse(one, &spec, error, sizeof(error));

		ok(parsed && spec.kind == good[i].kind && strcmp(spec.ip, good[i].ip) == 0 &&
		   spec.prefix == good[i].prefix && strcmp(spec.interface, good[i].interface) == 0 &&
		   spec.family == (good[i].ip[0] == '\0' ? 0 : strchr(good[i].ip, ':') != NULL ? AF_INET6 : AF_INET),
		   "address \"%s\"%s%s", good[i].text, parsed ? "" : ": ", parsed ? "" : error);
		ok(pgha_address_spec_format(&spec, text, sizeof(text)) &&
		   strcmp(text, good[i].canonical != NULL ? good[i].canonical : good[i].text) == 0, "written as \"%s\"", text);
		free(one);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		char	   *one = copy(bad[i][0]);

		error[0] = '\0';
		ok(!pgha_address_spec_parse(one, &spec, error, sizeof(error)) && strstr(error, bad[i][1]) != NULL,
		   "refused: %s", error);
		free(one);
	}

	ok(pgha_address_spec_parse("ec2-route:10.9.0.1/32@rtb-a,rtb-b", &spec, error, sizeof(error)) && spec.tables == 2 &&
	   strcmp(spec.table[0], "rtb-a") == 0 && strcmp(spec.table[1], "rtb-b") == 0, "two route tables");
	ok(!pgha_address_spec_format(&spec, text, 10) && strlen(text) < 10, "no room for the text");

	/* The longest there is. */
	strcpy(text, "ec2-route:100.100.100.100/32@");
	for (int i = 0; i < PGHA_MAX_ROUTE_TABLES; i++)
		sprintf(text + strlen(text), "%srtb-%059d", i > 0 ? "," : "", i);
	ok(pgha_address_spec_parse(text, &spec, error, sizeof(error)) && spec.tables == PGHA_MAX_ROUTE_TABLES, "longest address: %s", error);
	{
		char		again[PGHA_ADDRESS_TEXT_SIZE];

		ok(pgha_address_spec_format(&spec, again, sizeof(again)) && strcmp(text, again) == 0, "written as it was read");
	}
}
