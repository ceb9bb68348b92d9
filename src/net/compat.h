/*
 * compat.h
 *		Differences between the versions of PostgreSQL whose servers the program
 *		talks to as a member.
 */
#ifndef PGHA_NET_COMPAT_H
#define PGHA_NET_COMPAT_H

/* Members are of the major version that the program was built for; 17 has one limit of time more. */
#if PGHA_PG_MAJOR >= 17
#define PGHA_SETTINGS_OF_VERSION	" -c transaction_timeout=0"
#else
#define PGHA_SETTINGS_OF_VERSION	""
#endif

#endif							/* PGHA_NET_COMPAT_H */
