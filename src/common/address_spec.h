/*
 * address_spec.h
 *		What pgha.address says: which address follows the primary, and how.
 */
#ifndef PGHA_ADDRESS_SPEC_H
#define PGHA_ADDRESS_SPEC_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PghaAddressKind
{
	PGHA_ADDRESS_NONE,
	PGHA_ADDRESS_EC2,			/* secondary private address of a network interface */
	PGHA_ADDRESS_EC2_ELASTIC,	/* Elastic IP address */
	PGHA_ADDRESS_EC2_ROUTE,		/* route to a network interface */
	PGHA_ADDRESS_LOCAL			/* on an interface of this host, announced by ARP or ND */
} PghaAddressKind;

#define PGHA_MAX_ROUTE_TABLES	16

typedef struct PghaAddressSpec
{
	PghaAddressKind kind;
	char		ip[46];			/* canonical; empty for ec2-elastic */
	int			family;			/* AF_INET, AF_INET6 */
	int			prefix;
	char		interface[16];	/* empty: found by the ENI's MAC */
	char		allocation[64];
	int			tables;
	char		table[PGHA_MAX_ROUTE_TABLES][64];
} PghaAddressSpec;

extern bool pgha_address_spec_parse(const char *text, PghaAddressSpec *spec,
									char *error, size_t error_size);

#endif							/* PGHA_ADDRESS_SPEC_H */
