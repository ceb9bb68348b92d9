/*
 * cluster.c
 *		Checks of pgha_doctor() on the cluster: members, slots, agents.
 *
 * What others say is what the monitor has last heard of them; nobody is asked
 * again.
 */
#include "postgres.h"

#include "replication/slot.h"
#include "replication/walsender.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "../../core/eligibility.h"
#include "../../core/states.h"
#include "../agents.h"
#include "../config.h"
#include "../refused.h"
#include "../report.h"
#include "checks.h"

static bool
answers(const PghaMemberView *member)
{
	return member->contact == PGHA_CONTACT_ANSWERED && member->known;
}

static bool
leads(const PghaMemberView *member)
{
	return answers(member) && !member->report.in_recovery && member->report.posted;
}

/* ---- members ---- */

static void
check_one_member(PghaDoctor *doctor, const PghaMemberView *member)
{
	const char *said = member->error[0] != '\0' ? member->error : pgha_contact_name(member->contact);

	switch (member->contact)
	{
		case PGHA_CONTACT_ANSWERED:
			break;
		case PGHA_CONTACT_ERROR:
			PghaDoctorFind(doctor, PGHA_ERROR,
						   "The log of that server says which it is: the role or password of pgha.conninfo, a line in pg_hba.conf for database \"replication\" and this node's address, or pgha that is not loaded there.",
						   "\"%s\" (%s) answers, but cannot be read: %s", member->name, member->address, said);
			break;
		case PGHA_CONTACT_STARTING:
			PghaDoctorFind(doctor, PGHA_WARNING, "Wait until it is up; its log tells how far it is.",
						   "\"%s\" (%s) is starting up or shutting down", member->name, member->address);
			break;
		case PGHA_CONTACT_UNLEARNT:
			PghaDoctorFind(doctor, PGHA_ERROR,
						   "The fault is here: a name that this host cannot look up, no free file descriptor, no process that could be started. Until it is mended a failure of that member is not noticed.",
						   "this server cannot ask \"%s\" (%s): %s", member->name, member->address, said);
			break;
		case PGHA_CONTACT_NEVER:
		case PGHA_CONTACT_REFUSED:
		case PGHA_CONTACT_SILENT:
			PghaDoctorFind(doctor, PGHA_ERROR,
						   "Start that server; if it runs, check its listen_addresses and port, the address in pgha.members, and the firewall.",
						   "\"%s\" (%s) cannot be reached: %s", member->name, member->address, said);
			break;
	}
}

static void
check_members(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;

	if (view->members.count < 2)
	{
		PghaDoctorFind(doctor, PGHA_WARNING, "Add the other nodes to pgha.members, on each of them.",
					   "this node is the only member: there is nobody to take over");
		return;
	}
	for (int i = 0; i < view->members.count; i++)
		if (i != view->settings.self)
			check_one_member(doctor, &view->member[i]);
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "all %d members answer", view->members.count);
}

static void
check_primary(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData leading;
	int			count = 0;

	initStringInfo(&leading);
	for (int i = 0; i < view->members.count; i++)
	{
		if (!leads(&view->member[i]))
			continue;
		PghaDoctorList(&leading, view->member[i].name);
		count++;
	}
	if (count == 0)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "SELECT reason FROM pgha_status() on each standby says what it waits for; pgha_promote() overrides it.",
					   "no member leads");
	else if (count > 1)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "If it lasts for longer than some seconds, see that the members can reach each other; the one with the lower term gives up when it sees the other.",
					   "more than one member claims to lead: %s", leading.data);
	else
		PghaDoctorFine(doctor, "\"%s\" leads", leading.data);
}

/* What state this node is in, and the others, as far as it needs somebody. */
static void
check_state(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;

	if (view->state == PGHA_DIVERGED || view->state == PGHA_PASSIVE)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   view->state == PGHA_DIVERGED ?
					   psprintf("Run SELECT pgha_recover_node('%s') on the primary.", pgha_node) :
					   "Remove the cause; see \"Troubleshooting\" in the manual.",
					   "this node is %s: %s", pgha_state_name(view->state), view->reason);
	else if (view->state == PGHA_RETURNING || view->state == PGHA_CANDIDATE)
		PghaDoctorFind(doctor, PGHA_WARNING, "See what it waits for; pgha_promote() ends the wait.",
					   "this node is %s: %s", pgha_state_name(view->state), view->reason);
	for (int i = 0; i < view->members.count; i++)
	{
		const PghaReport *report = &view->member[i].report;

		if (i == view->settings.self || !answers(&view->member[i]))
			continue;
		if (report->diverged || report->fenced || report->passive != PGHA_ACTIVE)
			PghaDoctorFind(doctor, PGHA_ERROR,
						   report->passive != PGHA_ACTIVE ? "Remove the cause; see \"Troubleshooting\" in the manual." :
						   psprintf("Run SELECT pgha_recover_node('%s') on the primary.", view->member[i].name),
						   "\"%s\" does not follow: %s", view->member[i].name,
						   report->passive != PGHA_ACTIVE ? pgha_passive_text(report->passive) :
						   report->diverged ? pgha_bar_text(PGHA_BAR_DIVERGED) : pgha_bar_text(PGHA_BAR_FENCED));
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "this node is %s: %s", pgha_state_name(view->state), view->reason);
}

static void
check_configuration_same(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData others;

	initStringInfo(&others);
	for (int i = 0; i < view->members.count; i++)
		if (answers(&view->member[i]) && PghaConfigDiffers(&view->settings, i, view->member[i].report.config_hash))
			PghaDoctorList(&others, view->member[i].name);
	if (others.len > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Write the same pgha.cluster, pgha.members, pgha.witnesses, pgha.heartbeat_interval, pgha.failure_timeout, pgha.lease_ttl, pgha.startup_grace and pgha.max_failover_lag on every node, and reload.",
					   "the settings that must be the same everywhere differ on: %s", others.data);
	else
		PghaDoctorFine(doctor, "the same on all members that answer");
}

/* Who could take over, and why not. */
static void
check_candidates(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData able;
	StringInfoData barred;
	int			standbys = 0;

	initStringInfo(&able);
	initStringInfo(&barred);
	for (int i = 0; i < view->members.count; i++)
	{
		const PghaMemberView *member = &view->member[i];

		if (!answers(member) || !member->report.in_recovery)
			continue;
		standbys++;
		if (member->report.bar == PGHA_MAY_PROMOTE)
			PghaDoctorList(&able, member->name);
		else
			PghaDoctorList(&barred, psprintf("\"%s\": %s", member->name, pgha_bar_text(member->report.bar)));

		/* Its replay has stopped, too: worth telling, whoever else is able. */
		if (member->report.bar == PGHA_BAR_TOO_LOW)
			PghaDoctorFind(doctor, PGHA_ERROR,
						   "Write max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and max_locks_per_transaction on that node at least as high as on the primary, and restart it.",
						   "\"%s\" cannot take over: %s", member->name, pgha_bar_text(member->report.bar));
	}
	if (able.len > 0)
		PghaDoctorFine(doctor, "could take over: %s", able.data);
	else if (standbys == 0)
		PghaDoctorFind(doctor, PGHA_ERROR, "Bring a standby up: see the check \"members\".",
					   "no standby answers: nobody could take over");
	else
		PghaDoctorFind(doctor, PGHA_ERROR, "Remove what stands in the way, on at least one standby.",
					   "no standby could take over: %s", barred.data);
}

static void
check_lag(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	const PghaReport *leader;

	if (view->leader < 0 || view->leader >= view->members.count || !view->member[view->leader].known)
		return;
	leader = &view->member[view->leader].report;
	for (int i = 0; i < view->members.count; i++)
	{
		const PghaReport *report = &view->member[i].report;
		pgha_lsn	lacking = pgha_wal_between(report->wal_end, leader->wal_end, &leader->gap, 1);

		if (answers(&view->member[i]) && report->in_recovery && lacking > view->settings.max_failover_lag)
			PghaDoctorFind(doctor, PGHA_WARNING,
						   "See whether network or disk of that node is too slow, or accept a greater loss with pgha.max_failover_lag.",
						   "\"%s\" is %s behind the primary, more than pgha.max_failover_lag (%s)",
						   view->member[i].name, PghaDoctorSize(lacking),
						   PghaDoctorSize(view->settings.max_failover_lag));
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "no standby is further behind than pgha.max_failover_lag (%s)",
					   PghaDoctorSize(view->settings.max_failover_lag));
}

static void
check_priority(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	int			known = 0;
	int			never = 0;

	for (int i = 0; i < view->members.count; i++)
	{
		if (!answers(&view->member[i]))
			continue;
		known++;
		never += view->member[i].report.priority == 0;
	}
	if (never == known)
		PghaDoctorFind(doctor, PGHA_ERROR, "Write pgha.priority = 100 on the nodes that may lead, and reload.",
					   "pgha.priority is 0 on every member that answers: none is ever promoted by itself");
	else if (never == known - 1 && known > 1 && pgha_priority > 0)
		PghaDoctorFind(doctor, PGHA_WARNING, "Write pgha.priority = 100 on another node, and reload.",
					   "pgha.priority is 0 on every member but this one: nobody takes over from it");
	else
		PghaDoctorFine(doctor, "%d on this node, 0 on %d of %d members", pgha_priority, never, known);
}

static void
check_failover(PghaDoctor *doctor)
{
	if (doctor->view->durable.paused)
		PghaDoctorFind(doctor, PGHA_WARNING, "When the maintenance is over: SELECT pgha_resume();",
					   "failover is paused: nobody takes over by itself");
	if (!pgha_auto_failover)
		PghaDoctorFind(doctor, PGHA_WARNING, "Write pgha.auto_failover = on, and reload.",
					   "pgha.auto_failover is off: this node is promoted by hand only");
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "not paused, and pgha.auto_failover is on");
}

/* ---- room for all of them ---- */

static void
check_max_wal_senders(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	int			others = view->members.count - 1;
	int			strangers;
	int			needed;

	/* A base backup is what the one beyond the members' is for. */
	(void) PghaDoctorQuery("SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE application_name <> ALL (%s)"
						   " AND application_name NOT IN ('pgha io', 'pg_basebackup')", PghaDoctorMembers(view));
	strangers = atoi(PghaDoctorField(0, 0));
	needed = 2 * others + 1 + strangers;
	if (max_wal_senders < needed)
		PghaDoctorFind(doctor, max_wal_senders < 2 * others + strangers ? PGHA_ERROR : PGHA_WARNING,
					   psprintf("Write max_wal_senders = %d or more on every node, and restart them, standbys first.",
								Max(10, needed)),
					   "max_wal_senders is %d; needed are %d: two for each of %d other members, one for a base backup, and %d for others that stream",
					   max_wal_senders, needed, others, strangers);
	else
		PghaDoctorFine(doctor, "%d, needed are %d", max_wal_senders, needed);
}

/* The slots of the other members, for SQL; none (NULL) without the library. */
static const char *
member_slots(const PghaView *view)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; view != NULL && i < view->members.count; i++)
	{
		char		slot[NAMEDATALEN];

		if (i == view->settings.self)
			continue;
		pgha_slot_name(view->members.member[i].name, slot);
		PghaDoctorList(&list, quote_literal_cstr(slot));
	}
	return psprintf("ARRAY[%s]::text[]", list.data);
}

static void
check_max_replication_slots(PghaDoctor *doctor)
{
	int			others = doctor->view->members.count - 1;
	int			strangers;
	int			needed;

	(void) PghaDoctorQuery("SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_name <> ALL (%s)",
						   member_slots(doctor->view));
	strangers = atoi(PghaDoctorField(0, 0));
	needed = others + strangers;
	if (max_replication_slots < needed)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   psprintf("Write max_replication_slots = %d or more on every node, and restart them, standbys first.",
								Max(10, needed)),
					   "max_replication_slots is %d; needed are %d: one for each of %d other members, and %d for others",
					   max_replication_slots, needed, others, strangers);
	else
		PghaDoctorFine(doctor, "%d, needed are %d", max_replication_slots, needed);
}

/* ---- slots ---- */

/* The slot of one member, in row `row` of the query, or not there if it is -1. */
static void
check_one_slot(PghaDoctor *doctor, const PghaMemberView *member, const char *slot, int row)
{
	bool		streams = answers(member) && member->report.in_recovery &&
		member->report.receiver == PGHA_RECEIVER_STREAMING &&
		strcmp(member->report.upstream, pgha_node) == 0;

	if (row < 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "A member that is further behind than pgha.slot_keep_size loses its slot: bring it back, with pgha_recover_node() if it cannot catch up. If no slot is free, raise max_replication_slots.",
					   "there is no slot \"%s\" for member \"%s\"", slot, member->name);
	else if (strcmp(PghaDoctorField(row, 2), "lost") == 0)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   psprintf("Run SELECT pgha_recover_node('%s') on the primary; then raise max_slot_wal_keep_size.", member->name),
					   "slot \"%s\" has lost WAL that member \"%s\" needs", slot, member->name);
	else if (strcmp(PghaDoctorField(row, 2), "unreserved") == 0)
		PghaDoctorFind(doctor, PGHA_WARNING, "Raise max_slot_wal_keep_size, or see why the member is slow.",
					   "slot \"%s\" is about to lose WAL that member \"%s\" needs", slot, member->name);
	else if (streams && !PghaDoctorTrue(row, 1))
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("It connected before there was one. Have it connect anew: SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = '%s';", member->name),
					   "member \"%s\" streams from here, but not by its slot \"%s\"", member->name, slot);
}

static void
check_slots(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	int			rows = PghaDoctorQuery("SELECT slot_name, active, wal_status FROM pg_catalog.pg_replication_slots");

	for (int i = 0; i < view->members.count; i++)
	{
		char		slot[NAMEDATALEN];
		int			row = rows - 1;

		if (i == view->settings.self)
			continue;
		pgha_slot_name(view->members.member[i].name, slot);
		while (row >= 0 && strcmp(PghaDoctorField(row, 0), slot) != 0)
			row--;
		check_one_slot(doctor, &view->member[i], slot, row);
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "each other member has its slot");
}

static void
check_other_slots(PghaDoctor *doctor)
{
	int			rows = PghaDoctorQuery("SELECT slot_name, wal_status, greatest(0, (CASE WHEN pg_is_in_recovery()"
									   " THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) - restart_lsn)::int8"
									   " FROM pg_catalog.pg_replication_slots"
									   " WHERE slot_name <> ALL (%s) AND NOT active AND NOT temporary"
									   " AND (restart_lsn IS NOT NULL OR wal_status = 'lost')",
									   member_slots(doctor->view));
	bool		unlimited = strcmp(PghaDoctorSetting("max_slot_wal_keep_size"), "-1") == 0;

	for (int i = 0; i < rows; i++)
	{
		const char *slot = PghaDoctorField(i, 0);
		const char *drop = psprintf("If nobody needs it: SELECT pg_drop_replication_slot(%s);%s", quote_literal_cstr(slot),
									unlimited ? " Write max_slot_wal_keep_size = '32GB' or what the disk can bear." : "");

		if (strcmp(PghaDoctorField(i, 1), "lost") == 0)
			PghaDoctorFind(doctor, PGHA_WARNING, drop, "slot \"%s\", which is not pgha's, has lost WAL that its consumer needs", slot);
		else
			PghaDoctorFind(doctor, unlimited ? PGHA_WARNING : PGHA_INFO, drop,
						   "slot \"%s\", which is not pgha's, is not in use and keeps %s of WAL back, %s", slot,
						   PghaDoctorSize(strtoull(PghaDoctorField(i, 2), NULL, 10)),
						   unlimited ? "without a limit: it can fill the disk" : "up to max_slot_wal_keep_size");
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "no slot of others keeps WAL back unused");
}

static void
check_logical_slots(PghaDoctor *doctor)
{
	int			rows = PghaDoctorQuery("SELECT string_agg(slot_name, ', ' ORDER BY slot_name) FROM pg_catalog.pg_replication_slots"
									   " WHERE slot_type = 'logical' AND NOT temporary HAVING count(*) > 0");

	if (rows > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Plan to create them anew on the new primary and to copy the data again, or keep such consumers off this cluster.",
					   "logical slots are not copied to the standbys, a failover loses: %s", PghaDoctorField(0, 0));
	else
		PghaDoctorFine(doctor, "there is none that a failover would lose");
}

/* ---- agents ---- */

/* An agent that lost its session tries again within so long (session.c there). */
#define AGENT_RETURNS_MS	7000

/* Has this server only just started, or begun to lead, so that agents need not be back yet? */
static bool
agents_may_come(const PghaDoctor *doctor)
{
	TimestampTz now = GetCurrentTimestamp();

	return !TimestampDifferenceExceeds(PgStartTime, now, AGENT_RETURNS_MS) ||
		!TimestampDifferenceExceeds(doctor->view->state_since, now, AGENT_RETURNS_MS);
}

static void
check_agents(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData missing;
	int			refused = 0;

	/* Agents connect to their own server and to the primary. */
	initStringInfo(&missing);
	for (int i = 0; i < view->members.count; i++)
	{
		const char *name = view->members.member[i].name;
		char		message[160];
		char		host[64];

		if ((i != view->settings.self && doctor->in_recovery) || PghaAgentConnected(name))
			continue;
		if (PghaLoginRefused(name, message, sizeof(message), host, sizeof(host)))
		{
			refused++;
			PghaDoctorFind(doctor, PGHA_WARNING,
						   "Correct pgha.conninfo on that node, or pg_hba.conf or the role here.",
						   "the agent of \"%s\" is refused the login, from %s: %s; nobody brings that node back after a failure",
						   name, host, message);
		}
		else
			PghaDoctorList(&missing, name);
	}
	if (missing.len > 0 && agents_may_come(doctor))
		PghaDoctorFind(doctor, PGHA_INFO, "Ask again in some seconds.",
					   "no agent has connected yet for: %s; this server has only just started, or changed its state", missing.data);
	else if (missing.len > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Start \"pgha agent -D PGDATA\" as a service on that host; if it runs, its log says why it cannot connect.",
					   "no agent is connected for: %s; nobody brings such a node back after a failure", missing.data);
	else if (refused == 0)
		PghaDoctorFine(doctor, doctor->in_recovery ? "this node's agent is connected" : "the agents of all members are connected");
}

/* The last recovery of a node, if it failed and nothing came after it. */
static void
check_recoveries(PghaDoctor *doctor)
{
	PghaAgent  *agents = palloc(sizeof(PghaAgent) * PGHA_MAX_MEMBERS);
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_SHARED);
	memcpy(agents, board->agent, sizeof(PghaAgent) * PGHA_MAX_MEMBERS);
	LWLockRelease(board->lock);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		const PghaJob *job = &agents[i].job;

		if (agents[i].node[0] == '\0' || strcmp(job->outcome, "failed") != 0)
			continue;
		PghaDoctorFind(doctor, PGHA_WARNING,
					   job->failure.hint[0] != '\0' ? pstrdup(job->failure.hint) :
					   psprintf("Remove the cause and run SELECT pgha_recover_node('%s') on the primary.", agents[i].node),
					   "the last recovery of \"%s\" (%s) failed: %s", agents[i].node, job->method,
					   job->failure.message[0] != '\0' ? job->failure.message : job->message);
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "no recovery has failed");
}

static void
check_auto_rejoin(PghaDoctor *doctor)
{
	const char *value = PghaDoctorSetting("pgha.auto_rejoin");

	if (strcmp(value, "off") == 0)
		PghaDoctorFind(doctor, PGHA_INFO, "Write pgha.auto_rejoin = rewind, and reload.",
					   "pgha.auto_rejoin is off: a node that fell waits for pgha_recover_node()");
	else
		PghaDoctorFine(doctor, "%s", value);
}

const PghaCheck pgha_checks_cluster[] = {
	{"state", PGHA_NEEDS_VIEW, check_state},
	{"members", PGHA_NEEDS_VIEW, check_members},
	{"primary", PGHA_NEEDS_VIEW, check_primary},
	{"configuration_same", PGHA_NEEDS_OTHERS, check_configuration_same},
	{"failover", PGHA_NEEDS_VIEW | PGHA_NEEDS_DATA, check_failover},
	{"candidates", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_candidates},
	{"priority", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_priority},
	{"lag", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_lag},
	{"max_wal_senders", PGHA_NEEDS_VIEW | PGHA_NEEDS_DATA, check_max_wal_senders},
	{"max_replication_slots", PGHA_NEEDS_VIEW | PGHA_NEEDS_DATA, check_max_replication_slots},
	{"slots", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_slots},
	{"other_slots", PGHA_NEEDS_DATA, check_other_slots},
	{"logical_slots", PGHA_NEEDS_DATA, check_logical_slots},
	{"auto_rejoin", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_auto_rejoin},
	{"agents", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_agents},
	{"recoveries", PGHA_NEEDS_VIEW | PGHA_NEEDS_DATA, check_recoveries},
	{NULL, 0, NULL}
};
