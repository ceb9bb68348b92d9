/*
 * boot.h
 *		The boot decision.
 *
 * Made before a server starts, when there is no node yet.
 */
#ifndef PGHA_CORE_BOOT_H
#define PGHA_CORE_BOOT_H

#include "node.h"

/* What to do with a server that is about to start without standby.signal. */
typedef enum PghaBootDecision
{
	PGHA_BOOT_PRIMARY,			/* start as it is */
	PGHA_BOOT_STANDBY,			/* a greater claim exists: fenced */
	PGHA_BOOT_UNDECIDED			/* start as a standby that waits for news */
} PghaBootDecision;

/*
 * Was it in the middle of a promotion when it was last running?  Then it is not
 * known whose timeline this is: never to be started as a primary.  Nor is, under
 * quorum, who gave up leadership and did not get to write standby.signal.
 */
extern bool pgha_boots_undecided(const PghaDurable *durable);

/*
 * The server went down: a promotion without votes that was not posted by then is
 * over, and what it has replaced holds again.  False if there was none.  The caller
 * sees to standby.signal and to own_from before it makes that durable.
 */
extern bool pgha_take_back_promotion(PghaDurable *durable);

/*
 * Under quorum: would the answers that are still out, of those whose contact is
 * PGHA_CONTACT_NEVER, change nothing?  Without quorum all are waited for: false.
 */
extern bool pgha_boot_is_decided(const PghaSettings *settings, const PghaDurable *durable,
								 const PghaContact *contact, const PghaReport *const *report);

/*
 * The boot check.  contact[i] and report[i] are the outcome for member i
 * (report NULL unless ANSWERED), under quorum for the
 * witnesses behind the members, too.  Sets *who to the member that decided.
 */
extern PghaBootDecision pgha_boot_decision(const PghaSettings *settings, const PghaDurable *durable,
								   const PghaContact *contact, const PghaReport *const *report, int *who);

#endif							/* PGHA_CORE_BOOT_H */
