/*
 * confirm.c
 *		Which standbys must have flushed a commit, when the members vote.
 *
 * The monitor sets what the rules say (core/rule.c), and commits look at it after
 * PostgreSQL's own wait (gate.c).  That one goes by synchronous_standby_names
 * as the session and the walsenders have read it, and knows nothing of the rule
 * that elections go by: while the setting changes, or when others than members
 * confirm, its acknowledgement is not enough.
 *
 * A commit asks for the confirmations of each rule that an election may go by:
 * the last one that is committed, the newest one, and the one that is to be the
 * next and waits until its standbys have caught up (S6).
 *
 * Walsenders do not say in shared memory whom they serve.  The monitor looks
 * their names up, and says so by place and process id; one that it has not seen
 * yet confirms nothing until it has.  Nothing at all is done or locked here as
 * long as no rule asks for confirmations.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "../core/rule.h"
#include "confirm.h"
#include "shmem.h"
#include "sync.h"

/* ---- for the monitor ---- */

/* S of a rule, in the numbering of the members; without those whose flush confirms nothing now. */
static uint32
members_of(const PghaNode *node, const PghaVotingRule *rule, const PghaMembers *members)
{
	uint32		set = 0;

	for (int i = 0; i < rule->count; i++)
	{
		int			member = (rule->sync & (UINT32_C(1) << i)) == 0 ? PGHA_NOBODY :
			pgha_members_find(members, rule->voter[i]);

		if (member != PGHA_NOBODY && member < members->count && pgha_confirms(node, member))
			set |= UINT32_C(1) << member;
	}
	return set;
}

static void
add_rule(PghaConfirm *confirm, const PghaNode *node, const PghaVotingRule *rule, const PghaMembers *members)
{
	if (rule->k > 0)
		confirm->rule[confirm->rules++] = (PghaConfirmRule) {rule->k, members_of(node, rule, members)};
}

void
PghaConfirmSet(const PghaNode *node, const PghaMembers *members)
{
	static PghaConfirm set;		/* as it is in shared memory */
	static bool set_valid = false;
	PghaConfirm next;

	memset(&next, 0, sizeof(next));
	if (pgha_in_force(node) && !node->local.in_recovery)
	{
		const PghaVoting *voting = &node->voting;

		add_rule(&next, node, &node->durable.rule, members);
		add_rule(&next, node, &voting->committed, members);
		if (voting->change_at != 0)
			add_rule(&next, node, &voting->change, members);
		if (next.rules > 0)
			next.senders = PghaSyncSenders(members, next.sender);
	}
	if (set_valid && memcmp(&next, &set, sizeof(set)) == 0)
		return;
	set = next;
	set_valid = true;
	LWLockAcquire(PghaShmem->confirm_lock, LW_EXCLUSIVE);
	PghaShmem->confirm = next;
	pg_atomic_write_u32(&PghaShmem->confirm_rules, (uint32) next.rules);
	LWLockRelease(PghaShmem->confirm_lock);
}

/* ---- for commits ---- */

bool
PghaConfirmAsked(void)
{
	return pg_atomic_read_u32(&PghaShmem->confirm_rules) != 0;
}

bool
PghaConfirmed(XLogRecPtr lsn)
{
	const PghaConfirm *confirm = &PghaShmem->confirm;
	uint32		flushed = 0;
	bool		confirmed = true;

	LWLockAcquire(PghaShmem->confirm_lock, LW_SHARED);
	for (int i = 0; i < confirm->senders; i++)
	{
		const PghaSender *known = &confirm->sender[i];
		WalSnd	   *sender = &WalSndCtl->walsnds[known->place];

		SpinLockAcquire(&sender->mutex);
		if (sender->pid == known->pid && sender->flush >= lsn)
			flushed |= UINT32_C(1) << known->member;
		SpinLockRelease(&sender->mutex);
	}
	for (int i = 0; i < confirm->rules && confirmed; i++)
		confirmed = pg_popcount32(flushed & confirm->rule[i].set) >= confirm->rule[i].k;
	LWLockRelease(PghaShmem->confirm_lock);
	return confirmed;
}
