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
	return (durable->role == PGHA_ROLE_PRIMARY && (!pgha_posted(durable) || durable->fenced)) ||
		(durable->rule.term != 0 &&
		 (durable->role != PGHA_ROLE_PRIMARY || durable->won > durable->claim.term));
}

/*
 * Also one that has given way to another since.  Not one that went wrong: that WAL
 * is not known to be on a timeline of its own, and the node has diverged for good.
 */
bool
pgha_take_back_promotion(PghaDurable *durable)
{
	const PghaReplaced *replaced = &durable->replaced;

	if (!pgha_can_be_taken_back(durable) || durable->diverged)
		return false;
	durable->claim = replaced->claim;
	durable->role = replaced->role;
	durable->fenced = replaced->fenced;
	durable->diverged = replaced->diverged;
	memcpy(durable->leader_instance, replaced->leader_instance, sizeof(durable->leader_instance));
	return true;
}

/* What the voters of a rule have answered so far to a leader that has restarted. */
typedef struct Voices
{
	int			needed;			/* a majority */
	int			support;		/* still accept it and wait for no other, this node itself included */
	int			open;			/* have not answered yet */
	bool		later;			/* one knows of a later leader */
} Voices;

/* The voter that the file lists under this name; PGHA_NOBODY if it lists none. */
static int
find_voter(const PghaSettings *settings, const char *name)
{
	for (int i = 0; i < (settings->voters > settings->count ? settings->voters : settings->count); i++)
	{
		if (strcmp(settings->name[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

static Voices
count_voices(const PghaSettings *settings, const PghaDurable *durable,
			 const PghaContact *contact, const PghaReport *const *report)
{
	const char *self = settings->name[settings->self];
	const PghaVotingRule *rule = &durable->rule;
	Voices		voices = {.needed = rule->count / 2 + 1};

	for (int i = 0; i < rule->count; i++)
	{
		int			voter = find_voter(settings, rule->voter[i]);
		const PghaReport *r;

		if (voter == PGHA_NOBODY)
			continue;
		if (voter == settings->self)
		{
			voices.support++;
			continue;
		}
		if (contact[voter] == PGHA_CONTACT_NEVER)
			voices.open++;
		r = report[voter];
		if (contact[voter] != PGHA_CONTACT_ANSWERED || r == NULL || strcmp(r->node, rule->voter[i]) != 0 ||
			r->system_identifier != settings->system_identifier)
			continue;
		if (r->support.term > durable->claim.term && r->support.name[0] != '\0')
			voices.later = true;
		if (r->support.term == durable->claim.term && !r->vote_open && strcmp(r->support.name, self) == 0)
			voices.support++;
	}
	return voices;
}

/* Does it support itself, and is what it remembers that of a leader? */
static bool
was_leader(const PghaSettings *settings, const PghaDurable *durable)
{
	return durable->role == PGHA_ROLE_PRIMARY && durable->support.term == durable->claim.term &&
		strcmp(durable->support.name, settings->name[settings->self]) == 0;
}

/*
 * Quorum is in force (F2): the leader goes on if a majority, itself included,
 * still supports it and waits for no other.  Whoever was elected since has the
 * votes of a majority, and one of those who confirm is among them.  A minority
 * need not answer, nor agree: a vote for a candidate that did not get the others'
 * changes nothing.
 */
static PghaBootDecision
decide_by_votes(const PghaSettings *settings, const PghaDurable *durable,
				const PghaContact *contact, const PghaReport *const *report)
{
	Voices		voices;

	if (!was_leader(settings, durable))
		return PGHA_BOOT_UNDECIDED;
	voices = count_voices(settings, durable, contact, report);
	return voices.support >= voices.needed && !voices.later ? PGHA_BOOT_PRIMARY : PGHA_BOOT_UNDECIDED;
}

bool
pgha_boot_is_decided(const PghaSettings *settings, const PghaDurable *durable,
					 const PghaContact *contact, const PghaReport *const *report)
{
	Voices		voices;

	if (durable->rule.term == 0)
		return false;
	if (durable->fenced || durable->diverged || pgha_boots_undecided(durable) || !was_leader(settings, durable))
		return true;
	voices = count_voices(settings, durable, contact, report);
	return voices.later || voices.support >= voices.needed || voices.support + voices.open < voices.needed;
}

/* Nothing can answer at the own address yet but another server of this name. */
static bool
is_name_in_use(const PghaSettings *settings, const PghaContact *contact, const PghaReport *const *report)
{
	const PghaReport *r = report[settings->self];

	return contact[settings->self] == PGHA_CONTACT_ANSWERED && r != NULL &&
		strcmp(r->node, settings->name[settings->self]) == 0 &&
		r->system_identifier == settings->system_identifier;
}

PghaBootDecision
pgha_boot_decision(const PghaSettings *settings, const PghaDurable *durable,
				   const PghaContact *contact, const PghaReport *const *report, int *who)
{
	const char *self = settings->name[settings->self];
	bool		all_answer = true;
	bool		in_force = false;

	*who = PGHA_NOBODY;
	if ((durable->fenced && durable->role != PGHA_ROLE_PRIMARY) || durable->diverged)
		return PGHA_BOOT_STANDBY;

	/* Crashed in the middle of a promotion: whose timeline this is must be found out. */
	if (pgha_boots_undecided(durable))
		return PGHA_BOOT_UNDECIDED;

	/* It has handed over, and is no primary without a decision of the members. */
	if (durable->role == PGHA_ROLE_STANDBY && durable->claim.term != 0 && strcmp(durable->claim.leader, self) == 0)
		return PGHA_BOOT_UNDECIDED;
	if (durable->rule.term != 0)
	{
		if (is_name_in_use(settings, contact, report))
			*who = settings->self;
		return *who != PGHA_NOBODY ? PGHA_BOOT_UNDECIDED : decide_by_votes(settings, durable, contact, report);
	}
	for (int i = 0; i < settings->count; i++)
	{
		const PghaReport *r = report[i];

		if (i == settings->self)
		{
			if (is_name_in_use(settings, contact, report))
			{
				*who = i;
				return PGHA_BOOT_UNDECIDED;
			}

			/* Where nothing is heard it cannot be told that nobody has the name. */
			if ((contact[i] == PGHA_CONTACT_NEVER || contact[i] == PGHA_CONTACT_SILENT ||
				 contact[i] == PGHA_CONTACT_UNLEARNT) &&
				durable->role == PGHA_ROLE_PRIMARY)
				all_answer = false;
			continue;
		}
		if (contact[i] != PGHA_CONTACT_ANSWERED || r == NULL ||
			strcmp(r->node, settings->name[i]) != 0)
		{
			all_answer = false;
			continue;
		}
		if (r->system_identifier != settings->system_identifier)
			continue;

		/* Leaders are elected there, and what this server knows of that is lost. */
		in_force |= r->rule.term != 0;
		if (pgha_is_void(r))
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
	if (!in_force && (all_answer || durable->role == PGHA_ROLE_NONE))
		return PGHA_BOOT_PRIMARY;
	return PGHA_BOOT_UNDECIDED;
}
