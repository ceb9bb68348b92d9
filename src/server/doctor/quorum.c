/*
 * quorum.c
 *		Checks of pgha_doctor() on the votes: who votes, whether a majority outlives
 *		a failure, and what a refused connection is taken for.
 *
 * What others say is what the monitor has last heard of them; no name is looked
 * up, and nobody is asked again.
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "access/xlog.h"

#include "../../core/states.h"
#include "../config.h"
#include "checks.h"

/* Beats within a lease: with fewer one lost answer is felt. */
#define BEATS_ADVISED	4

static bool
in_force(const PghaView *view)
{
	return view->durable.rule.term != 0;
}

static bool
takes_part(const PghaView *view)
{
	return view->settings.voters > 0 || in_force(view);
}

static bool
answers(const PghaMemberView *member)
{
	return member->contact == PGHA_CONTACT_ANSWERED && member->known;
}

/* Do the members vote, or what is missing? */
static void
check_quorum(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	bool		off = strcmp(PghaDoctorSetting("pgha.quorum"), "off") == 0;
	StringInfoData old;

	initStringInfo(&old);
	for (int i = 0; i < view->members.voters; i++)
		if (i != view->settings.self && answers(&view->member[i]) && view->member[i].report.votes == 0)
			PghaDoctorList(&old, view->members.member[i].name);
	if (takes_part(view) && old.len > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Install the same version of pgha on every node, with the same pgha.quorum and pgha.witnesses, and restart them, standbys first.",
					   "does not vote, as it runs an older version of pgha or has other settings: %s", old.data);
	if (in_force(view) && off)
		PghaDoctorFind(doctor, PGHA_INFO, "Write pgha.quorum = auto on every node, and reload.",
					   "pgha.quorum is off, and quorum stays in force: it cannot be taken back by a setting");
	else if (off && view->members.voters >= 3)
		PghaDoctorFind(doctor, PGHA_WARNING, "Write pgha.quorum = auto on every node, and reload.",
					   "pgha.quorum is off with %d voters: two halves of a divided cluster may both accept commits",
					   view->members.voters);
	else if (takes_part(view) && !in_force(view) && old.len == 0)
		PghaDoctorFind(doctor, PGHA_WARNING, "See which member does not answer (check \"members\"), and wait for some seconds.",
					   "quorum is not in force yet: the primary waits until all members with data, and a majority of the %d voters, promise to follow it",
					   view->members.voters);
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, takes_part(view) ? "in force, %d voters" : "off, with %d voters", view->members.voters);
}

/* Does a setting keep it from ever leading, though it receives all WAL? */
static bool
cannot_lead(const PghaView *view, int member)
{
	const PghaReport *report = &view->member[member].report;

	if (member == view->settings.self)
		return RecoveryInProgress() && strcmp(PghaDoctorSetting("recovery_min_apply_delay"), "0") != 0;
	return answers(&view->member[member]) && report->in_recovery &&
		(report->bar == PGHA_BAR_APPLY_DELAY || report->bar == PGHA_BAR_TOO_LOW);
}

static void
check_voters(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	int			voters = in_force(view) ? view->durable.rule.count : view->members.voters;
	StringInfoData held;

	initStringInfo(&held);
	for (int i = 0; takes_part(view) && i < view->members.count; i++)
		if (cannot_lead(view, i))
			PghaDoctorList(&held, view->members.member[i].name);
	if (held.len > 0)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Take recovery_min_apply_delay back, or raise max_connections and the like to what the primary has; or leave the server out of pgha.members, as a standby of its own.",
					   "cannot lead, and votes for nobody who has less WAL, so that nobody is elected before the last WAL, if it alone has that, was fetched from it: %s",
					   held.data);
	if (voters == 2 && in_force(view))
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Make a witness on a third host, such as a pgpool host: pgha.witnesses = 'w-1=HOST:PORT' on every node.",
					   "two voters are left, and both are needed: the failure of one ends all commits");
	else if (voters == 2)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Make a witness on a third host, such as a pgpool host: pgha.witnesses = 'w-1=HOST:PORT' on every node.",
					   "there are two voters: the failure of one leaves no majority, so nobody votes, and a divided cluster may have two primaries");
	else if (takes_part(view) && voters % 2 == 0)
		PghaDoctorFind(doctor, PGHA_INFO, "Add a witness on another host, or take one away.",
					   "there are %d voters, an even number: %d of them may fail, as of %d",
					   voters, (voters - 1) / 2, voters - 1);
	else if (doctor->findings == 0)
		PghaDoctorFine(doctor, takes_part(view) ? "%d: %d of them may fail" : "%d", voters, (voters - 1) / 2);
}

/* ---- where they are ---- */

static bool
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || pg_strcasecmp(host, "localhost") == 0;
}

/* Voters behind one address fall with one host; of places nothing more is known, so it is asked. */
static void
check_places(PghaDoctor *doctor)
{
	const PghaMembers *members = &doctor->view->members;

	if (!takes_part(doctor->view))
	{
		PghaDoctorFine(doctor, "nobody votes");
		return;
	}
	for (int i = 0; i < members->voters; i++)
		for (int j = i + 1; j < members->voters; j++)
			if (strcmp(members->member[i].host, members->member[j].host) == 0 && !is_loopback(members->member[i].host))
				PghaDoctorFind(doctor, PGHA_WARNING, "Move one of them to another host.",
							   "\"%s\" and \"%s\" are on one host (%s), and fail together", members->member[i].name,
							   members->member[j].name, members->member[i].host);
	if (doctor->findings == 0)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "See that no single site, rack, power supply or hypervisor has a majority of them.",
					   "are the %d voters in different places? Without a majority nobody leads, and pgha cannot know where they are",
					   members->voters);
}

/* ---- what a refused connection proves ---- */

static bool
is_numeric_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static void
check_refused(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < view->members.count; i++)
		if (!is_numeric_address(view->members.member[i].host) && !is_loopback(view->members.member[i].host))
			PghaDoctorList(&names, psprintf("\"%s\" (%s)", view->members.member[i].name, view->members.member[i].host));
	if (!view->settings.refused_is_down)
		PghaDoctorFine(doctor, "off: a primary that crashes is waited for like one that is silent");
	else if (takes_part(view) && names.len > 0)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Write numeric addresses of the hosts themselves into pgha.members; or pgha.refused_is_down = off on every node, if a proxy, a service address or several addresses are behind a name.",
					   "pgha.refused_is_down is on, and these addresses are names: %s; a proxy or another host behind one would refuse in the primary's place",
					   names.data);
	else
		PghaDoctorFine(doctor, "on");
}

/* ---- times ---- */

static void
check_lease(PghaDoctor *doctor)
{
	const PghaSettings *settings = &doctor->view->settings;
	int			ttl = (int) (settings->lease_ttl / 1000);
	int			heartbeat = (int) (settings->heartbeat_interval / 1000);
	int			failure = (int) (settings->failure_timeout / 1000);

	if (!takes_part(doctor->view))
		PghaDoctorFine(doctor, "nobody votes");
	else if (ttl < BEATS_ADVISED * heartbeat)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("Write pgha.heartbeat_interval = '%dms' on every node, and reload.", ttl / BEATS_ADVISED),
					   "the lease of the primary lasts %d ms, fewer than %d heartbeats of %d ms: a lost answer or two stop all commits",
					   ttl, BEATS_ADVISED, heartbeat);
	else if (ttl > failure)
		PghaDoctorFind(doctor, PGHA_INFO, "Write pgha.lease_ttl = 0 on every node, and reload.",
					   "the lease of the primary lasts %d ms, longer than pgha.failure_timeout (%d ms): a silent one is replaced only when the lease is over",
					   ttl, failure);
	else
		PghaDoctorFine(doctor, "%d ms, with a heartbeat every %d ms", ttl, heartbeat);
}

/* ---- witnesses ---- */

static void
check_witnesses(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	int			listed = view->members.voters - view->settings.leaving;

	for (int i = view->members.count; i < listed; i++)
	{
		const PghaMemberView *witness = &view->member[i];

		if (i == view->settings.self)
			continue;
		if (!answers(witness))
			PghaDoctorFind(doctor, PGHA_ERROR,
						   "Start that server; if it runs, its log, its pg_hba.conf, the firewall, or the address in pgha.witnesses says why. Its vote is missing meanwhile.",
						   "witness \"%s\" (%s) cannot be read: %s", view->members.member[i].name, witness->address,
						   witness->error[0] != '\0' ? witness->error : pgha_contact_name(witness->contact));
		else if (PghaConfigDiffers(&view->settings, i, witness->report.config_hash))
			PghaDoctorFind(doctor, PGHA_WARNING,
						   "Write the same pgha.members, pgha.witnesses, pgha.quorum and times there as here, and reload.",
						   "witness \"%s\" has another list of members and witnesses, or other times, than this node",
						   view->members.member[i].name);
	}
	if (doctor->findings == 0 && listed == view->members.count)
		PghaDoctorFine(doctor, "there is none");
	else if (doctor->findings == 0)
		PghaDoctorFine(doctor, "%d, all answer", listed - view->members.count);
}

const PghaCheck pgha_checks_quorum[] = {
	{"quorum", PGHA_NEEDS_OTHERS, check_quorum},
	{"voters", PGHA_NEEDS_OTHERS, check_voters},
	{"voters_apart", PGHA_NEEDS_OTHERS, check_places},
	{"witnesses", PGHA_NEEDS_OTHERS, check_witnesses},
	{"lease_ttl", PGHA_NEEDS_OTHERS, check_lease},
	{"refused_is_down", PGHA_NEEDS_OTHERS, check_refused},
	{NULL, 0, NULL}
};
