/*
 * boot.c
 *		The boot decision: may a server start as the primary it was?
 *
 * Called by the postmaster's boot check and by the simulator.  Knows what is on
 * disk and what the members answered, nothing else; never asks them itself.
 */
#include "boot.h"
#include "claim.h"

bool
pgha_boots_undecided(const PghaDurable *durable)
{
	return (durable->role == PGHA_ROLE_PRIMARY && !pgha_posted(durable)) ||
		(durable->rule.term != 0 &&
		 (durable->role != PGHA_ROLE_PRIMARY || durable->won > durable->claim.term));
}

/*
 * Quorum is in force (F2): the leader goes on if a majority, itself included,
 * still supports it and waits for no other; a minority need not answer.
 */
static PghaBootDecision
decide_by_votes(const PghaSettings *settings, const PghaDurable *durable,
				const PghaContact *contact, const PghaReport *const *report)
{
	const char *self = settings->name[settings->self];
	const PghaVotingRule *rule = &durable->rule;
	int			support = 1;

	if (durable->role != PGHA_ROLE_PRIMARY || durable->support.term != durable->claim.term ||
		strcmp(durable->support.name, self) != 0)
		return PGHA_BOOT_UNDECIDED;
	for (int i = 0; i < rule->count; i++)
	{
		for (int j = 0; j < settings->voters; j++)
		{
			if (j == settings->self || strcmp(settings->name[j], rule->voter[i]) != 0 ||
				contact[j] != PGHA_CONTACT_ANSWERED || report[j] == NULL ||
				strcmp(report[j]->node, rule->voter[i]) != 0 ||
				report[j]->system_identifier != settings->system_identifier)
				continue;
			if (report[j]->support.term != durable->claim.term || report[j]->vote_open ||
				strcmp(report[j]->support.name, self) != 0)
				return PGHA_BOOT_UNDECIDED;
			support++;
		}
	}
	return support > rule->count / 2 ? PGHA_BOOT_PRIMARY : PGHA_BOOT_UNDECIDED;
}

PghaBootDecision
pgha_boot_decision(const PghaSettings *settings, const PghaDurable *durable,
				   const PghaContact *contact, const PghaReport *const *report, int *who)
{
	const char *self = settings->name[settings->self];
	bool		all_answer = true;

	*who = PGHA_NOBODY;
	if (durable->fenced || durable->diverged)
		return PGHA_BOOT_STANDBY;

	/* Crashed in the middle of a promotion: whose timeline this is must be found out. */
	if (pgha_boots_undecided(durable))
		return PGHA_BOOT_UNDECIDED;

	/* It has handed over, and is no primary without a decision of the members. */
	if (durable->role == PGHA_ROLE_STANDBY && durable->claim.term != 0 && strcmp(durable->claim.leader, self) == 0)
		return PGHA_BOOT_UNDECIDED;
	if (durable->rule.term != 0)
		return decide_by_votes(settings, durable, contact, report);
	for (int i = 0; i < settings->count; i++)
	{
		const PghaReport *r = report[i];

		if (i == settings->self)
		{
			/* Nothing can answer here yet but another server of this name. */
			if (contact[i] == PGHA_CONTACT_ANSWERED && r != NULL && strcmp(r->node, self) == 0 &&
				r->system_identifier == settings->system_identifier)
			{
				*who = i;
				return PGHA_BOOT_UNDECIDED;
			}
			if ((contact[i] == PGHA_CONTACT_NEVER || contact[i] == PGHA_CONTACT_SILENT) &&
				durable->role == PGHA_ROLE_PRIMARY)
				all_answer = false;		/* nor can it be told that nobody does */
			continue;
		}
		if (contact[i] != PGHA_CONTACT_ANSWERED || r == NULL ||
			strcmp(r->node, settings->name[i]) != 0)
		{
			all_answer = false;
			continue;
		}
		if (r->system_identifier != settings->system_identifier || pgha_is_void(r))
			continue;

		/* What this server has forgotten, others know: it led then, and must learn whether it still does. */
		if (pgha_claim_is_lost(durable) && strcmp(r->claim.leader, self) == 0)
		{
			all_answer = false;
			continue;
		}
		*who = i;
		if (r->claim.term > durable->claim.term ||
			pgha_claim_compare(&r->claim, &durable->claim) > 0)
			return PGHA_BOOT_STANDBY;

		/* The leader that this server followed is alive. */
		if (!r->in_recovery && pgha_claim_compare(&r->claim, &durable->claim) == 0 &&
			strcmp(r->claim.leader, self) != 0)
			return PGHA_BOOT_STANDBY;
		*who = PGHA_NOBODY;
	}

	/* Without a claim of its own there is nothing that might have been superseded. */
	if (all_answer || durable->role == PGHA_ROLE_NONE)
		return PGHA_BOOT_PRIMARY;
	return PGHA_BOOT_UNDECIDED;
}
