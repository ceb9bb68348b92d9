/*
 * address.h
 *		The address that follows the primary, whatever its kind.
 *
 * For the kinds ec2 and ec2-route two things make it work: EC2 delivers its
 * packets to this instance, and the instance has it on an interface.  For
 * ec2-elastic EC2 alone does it, for local the interface alone.
 *
 * Everything may block, within limits, so that it belongs into a process of its
 * own: one that opens the address, calls prepare() every few seconds, so that
 * taking it costs little, and take() when it is to be here; then announce(), and
 * check() every few seconds, and take() again if that says no.  All may be
 * repeated at any time.  Errors are sentences that say which half failed.
 */
#ifndef PGHA_ADDRESS_H
#define PGHA_ADDRESS_H

#include "address_ec2.h"

/* One address, and what is known of it ahead of need. */
typedef struct PghaVip PghaVip;

/* Copies both; `ec2` may be NULL for the kind local.  NULL: out of memory. */
extern PghaVip *pgha_address_open(const PghaAddressSpec *spec, const PghaEc2Options *ec2);
extern void pgha_address_close(PghaVip *vip);

/*
 * Reads or refreshes what take() needs.  False if take() would fail now: EC2 or
 * its metadata cannot be asked, the interface or a capability is missing.
 */
extern bool pgha_address_prepare(PghaVip *vip, char *error, size_t error_size);

typedef struct PghaTake
{
	int			limit_ms;		/* for EC2's half, which repeats what may succeed later */
	bool		only_if_free;	/* kind local: leave it to a host that answers for it */
	bool		(*still_leader) (void *arg);	/* asked before each step; false: stop.  May be NULL */
	void	   *arg;
} PghaTake;

/*
 * Makes the address this host's: EC2 first, which takes it away from its
 * previous owner, then the interface, then (kind local) the neighbours, once.
 * True if all of it is so.  After false some of it may be: take() again, or
 * release().
 */
extern bool pgha_address_take(PghaVip *vip, const PghaTake *how, char *error, size_t error_size);

/*
 * Tells the neighbours several times, for about a second, in case some were
 * not reached by take().  Ends early when the address is not here any more.
 */
extern bool pgha_address_announce(PghaVip *vip, bool (*still_leader) (void *), void *arg,
								  char *error, size_t error_size);

/*
 * Gives up what is this host's, and only that: from the interface, then from
 * EC2, and from EC2 even if the interface failed.  True if nothing of it is left
 * here.
 */
extern bool pgha_address_release(PghaVip *vip, char *error, size_t error_size);

/* Is all of it here?  If not, or if it could not be found out, `error` says what. */
extern PghaHolder pgha_address_check(PghaVip *vip, char *error, size_t error_size);

/* Would take() be allowed?  EC2 is asked with DryRun.  `finding` is a sentence either way. */
extern bool pgha_address_may(PghaVip *vip, char *finding, size_t finding_size);

#endif							/* PGHA_ADDRESS_H */
