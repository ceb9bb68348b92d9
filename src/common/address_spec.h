/*
 * address_spec.h
 *		The address that follows the primary: the text of pgha.address, and of an
 *		ADDRESS of `pgha vip`.
 *
 *		ec2:10.0.3.10[@eth0]					secondary private address of an EC2 network interface
 *		ec2-elastic:eipalloc-0123abcd			Elastic IP
 *		ec2-route:10.9.0.1/32@rtb-a,rtb-b		route to this host in VPC route tables
 *		local:10.0.3.10[/24]@eth0				only on the interface, and announced there
 *		local:fd00::10[/64]@eth0				IPv6, with or without brackets
 */
#ifndef PGHA_ADDRESS_SPEC_H
#define PGHA_ADDRESS_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#define PGHA_MAX_ROUTE_TABLES	16

/* Room for any address in its text form. */
#define PGHA_ADDRESS_TEXT_SIZE	1280

typedef enum PghaAddressKind
{
	PGHA_ADDRESS_NONE,
	PGHA_ADDRESS_EC2,
	PGHA_ADDRESS_EC2_ELASTIC,
	PGHA_ADDRESS_EC2_ROUTE,
	PGHA_ADDRESS_LOCAL
} PghaAddressKind;

typedef struct PghaAddressSpec
{
	PghaAddressKind kind;
	char		ip[46];			/* as inet_ntop() writes it; empty for ec2-elastic */
	int			family;			/* AF_INET or AF_INET6; 0 for ec2-elastic */
	int			prefix;			/* length of the network on the interface */
	char		interface[16];	/* empty: found by the hardware address in EC2's metadata */
	char		allocation[64]; /* ec2-elastic */
	int			tables;			/* ec2-route */
	char		table[PGHA_MAX_ROUTE_TABLES][64];
} PghaAddressSpec;

/*
 * Parses `text`; an empty one is PGHA_ADDRESS_NONE.  False with a sentence in
 * `error` that says what is wrong and what to write.  What is not needed for a
 * kind is zero.
 */
extern bool pgha_address_spec_parse(const char *text, PghaAddressSpec *spec,
									char *error, size_t error_size);

/* Is `host`, a name or an IP address in any of its forms, the address? */
extern bool pgha_address_spec_is_host(const PghaAddressSpec *spec, const char *host);

/* Writes the text that parses to `spec`; false if it does not fit. */
extern bool pgha_address_spec_format(const PghaAddressSpec *spec, char *text, size_t size);

/* The word in front of the colon; "" for none. */
extern const char *pgha_address_kind_word(PghaAddressKind kind);

/* The kind with this name, which need not end behind it; PGHA_ADDRESS_NONE if there is none. */
extern PghaAddressKind pgha_address_kind_find(const char *word, size_t length);

#endif							/* PGHA_ADDRESS_SPEC_H */
