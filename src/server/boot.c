/*
 * boot.c
 *		Start as a primary or as a standby?
 *
 * Runs in the postmaster before the startup process, for a server that is about
 * to come up without standby.signal.  A server that led when it went down may
 * have been replaced since: it asks the members, through `pgha io` children
 * and within a third of failure_timeout.  If one knows of a later leader, or
 * if not all of them answer, standby.signal is written and the server comes up
 * read-only; the monitor then finds out more.  Where the members vote, the
 * witnesses are asked as well, and a majority decides: as soon as it has answered,
 * nobody else is waited for.  After the crash of a backend only pgha.state is
 * read: the monitor was there until just now.
 *
 * It runs in a start-up hook that follows the one of shmem.c, at each start and
 * crash restart of the postmaster, never for `postgres -C` or in a single-user
 * server.  This is the one place where the postmaster waits for the network, in
 * children and with a limit.  All signals are blocked while it does, or, from 16
 * on, noted and seen to later.
 */
#include "postgres.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/guc.h"

#include "../common/clock.h"
#include "../core/boot.h"
#include "../core/claim.h"
#include "../core/recall.h"
#include "archive.h"
#include "boot.h"
#include "compat.h"
#include "config.h"
#include "fence.h"
#include "files.h"
#include "io_child.h"
#include "promote.h"
#include "shmem.h"
#include "state.h"
#include "witness.h"

/* Written by the monitor (events.c), from its first start on. */
#define PGHA_EVENTS_FILE	"pgha.events"
/* Written by the agent (recovery/rejoin.c). */
#define FOLLOW_FILE		"pgha.follow"

/* The set in force when shared memory was made, in case the one in the files is bad. */
static PghaConfig config;

static shmem_startup_hook_type previous_startup_hook = NULL;

static bool
file_exists(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0;
}

/* Takes the reply of one child, if it is there. */
static bool
take_reply(PghaChild *child, PghaContact *contact, PghaReport *report)
{
	char	   *outcome;
	char	   *text;

	switch (PghaChildPoll(child, &outcome, &text))
	{
		case PGHA_CHILD_NOTHING:
			return false;
		case PGHA_CHILD_GONE:
			*contact = PGHA_CONTACT_SILENT;
			return true;
		case PGHA_CHILD_REPLY:
			if (strcmp(outcome, "ok") == 0 &&
				pgha_report_parse(text, &config.members, report, NULL, NULL))
				*contact = PGHA_CONTACT_ANSWERED;
			else
				*contact = strcmp(outcome, "silent") == 0 ? PGHA_CONTACT_SILENT :
					strcmp(outcome, "unlearnt") == 0 ? PGHA_CONTACT_NEVER :
					strcmp(outcome, "refused") == 0 ? PGHA_CONTACT_REFUSED : PGHA_CONTACT_ERROR;
			return true;
	}
	return true;
}

/*
 * Asks all members at once, and under quorum the witnesses, until the answers
 * decide, all have answered or time is up.  At the own address nothing should
 * answer yet.
 */
static void
ask_members(const PghaDurable *durable, PghaContact *contact, PghaReport *reports, const PghaReport **report)
{
	static PghaChild child[PGHA_MAX_MEMBERS];
	struct pollfd pfd[PGHA_MAX_MEMBERS];
	bool		open[PGHA_MAX_MEMBERS] = {false};
	int			count = durable->rule.term != 0 ? config.members.voters : config.settings.count;
	pgha_time	limit = config.settings.failure_timeout / 3;
	pgha_time	deadline = pgha_clock_us() + limit;
	int			waiting = 0;
	char		request[64];

	/* No events. */
	snprintf(request, sizeof(request), "report\t" UINT64_FORMAT, PG_UINT64_MAX);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		contact[i] = PGHA_CONTACT_NEVER;
		report[i] = NULL;
		PghaChildInit(&child[i]);
	}
	if (pgha_boot_is_decided(&config.settings, durable, contact, report))
		return;
	for (int i = 0; i < count; i++)
	{
		char		conninfo[PGHA_CONNINFO_SIZE];

		contact[i] = PGHA_CONTACT_SILENT;
		if (!pgha_conninfo_build(conninfo, sizeof(conninfo), config.conninfo,
								 &config.members.member[i], PGHA_IO_NAME, NULL))
			continue;
		if (!PghaChildStart(&child[i], conninfo) ||
			!PghaChildRequest(&child[i], request, pgha_clock_us(), limit))
		{
			ereport(LOG,
					(errmsg("could not start \"pgha io\" to ask member \"%s\": %m",
							config.settings.name[i])));
			continue;
		}
		contact[i] = PGHA_CONTACT_NEVER;
		open[i] = true;
		waiting++;
	}

	while (waiting > 0 && pgha_clock_us() < deadline &&
		   !pgha_boot_is_decided(&config.settings, durable, contact, report))
	{
		for (int i = 0; i < count; i++)
		{
			pfd[i].fd = open[i] ? child[i].fd : -1;
			pfd[i].events = POLLIN;
			pfd[i].revents = 0;
		}
		if (poll(pfd, count, (int) ((deadline - pgha_clock_us()) / 1000) + 1) <= 0)
			continue;
		for (int i = 0; i < count; i++)
		{
			if (pfd[i].revents != 0 && take_reply(&child[i], &contact[i], &reports[i]))
			{
				open[i] = false;
				waiting--;
				if (contact[i] == PGHA_CONTACT_ANSWERED)
					report[i] = &reports[i];
			}
		}
	}
	for (int i = 0; i < count; i++)
		PghaChildStop(&child[i]);
}

static void
tell_undecided(const PghaDurable *durable, PghaStateFile file, int who)
{
	int			grace = (int) (config.settings.startup_grace / 1000);

	if (who != PGHA_NOBODY)
		ereport(WARNING,
				(errmsg("pgha: another running server has the name \"%s\", starting as a standby",
						config.settings.name[who])));
	else if (durable->rule.term != 0 && pgha_boots_undecided(durable))
		ereport(WARNING,
				(errmsg("pgha: this server had stepped down, or was being promoted, starting as a standby"),
				 errdetail("The members elect a leader, which may be this server.")));
	else if (durable->rule.term != 0)
		ereport(WARNING,
				(errmsg("pgha: no majority of the voters confirms that it still supports this server, starting as a standby"),
				 errdetail("This server led when it was last running. The members elect a leader, which may be this server again.")));
	else
		ereport(LOG,
				(errmsg("pgha: not all members answered, starting as a standby"),
				 file == PGHA_STATE_UNUSABLE ?
				 errdetail("What this server remembered cannot be used: it may have led. It leads when all members answer, or after %d ms, unless one knows of another leader.",
						   grace) :
				 errdetail("This server led when it was last running. It leads again when all members answer, or after %d ms, unless one knows of a later leader.",
						   grace)));
}

/*
 * A server without standby.signal: may it start as it is?  One whose pgha.state
 * cannot be used may have led: it is undecided until it has asked.
 */
static void
decide(const PghaDurable *remembered, PghaStateFile file, bool crash_restart)
{
	static PghaReport reports[PGHA_MAX_MEMBERS];
	const PghaReport *report[PGHA_MAX_MEMBERS];
	PghaContact contact[PGHA_MAX_MEMBERS];
	PghaDurable durable;
	PghaBootDecision boot;
	int			who = PGHA_NOBODY;

	durable = *remembered;
	if (file == PGHA_STATE_UNUSABLE)
		durable.role = PGHA_ROLE_PRIMARY;
	if (crash_restart && file != PGHA_STATE_UNUSABLE)
	{
		if (!durable.fenced && !durable.diverged && !pgha_boots_undecided(&durable))
			return;
		boot = (durable.fenced && durable.role != PGHA_ROLE_PRIMARY) || durable.diverged ?
			PGHA_BOOT_STANDBY : PGHA_BOOT_UNDECIDED;
	}
	else
	{
		ask_members(&durable, contact, reports, report);
		boot = pgha_boot_decision(&config.settings, &durable, contact, report, &who);
	}

	switch (boot)
	{
		case PGHA_BOOT_PRIMARY:
			return;
		case PGHA_BOOT_STANDBY:
			if (who != PGHA_NOBODY)
				ereport(WARNING,
						(errmsg("pgha: member \"%s\" knows of a later leader, starting as a standby",
								config.settings.name[who])));
			else
				ereport(WARNING,
						(errmsg("pgha: this server gave up leadership, starting as a standby")));
			durable.fenced = true;
			durable.role = PGHA_ROLE_STANDBY;
			if (!PghaStateWrite(&config.settings, &durable))
				ereport(FATAL,
						(errcode_for_file_access(),
						 errmsg("could not remember that this server gave up leadership")));
			break;
		case PGHA_BOOT_UNDECIDED:

			/* With standby.signal nothing else would tell the monitor that this server may have led. */
			if (file == PGHA_STATE_UNUSABLE && !PghaStateWrite(&config.settings, &durable))
				ereport(FATAL,
						(errcode_for_file_access(),
						 errmsg("could not remember that this server may have led")));
			tell_undecided(&durable, file, who);
			break;
	}
	if (!PghaWriteStandbySignal())
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\"", STANDBY_SIGNAL_FILE),
				 errdetail("The server must not start as a primary.")));
}

/*
 * A server that is new has no pgha.state; but one that has told of events was
 * managed, and where the members vote it must not begin again as if it were new.
 */
static bool
is_lost(const PghaDurable *durable)
{
	if (config.settings.voters == 0 || !durable->forgot || !file_exists(PGHA_EVENTS_FILE))
		return false;
	ereport(WARNING,
			(errmsg("file \"pgha.state\" is missing, although this server was managed by pgha before"),
			 errhint("The node learns its leader anew from the other members.")));
	return true;
}

/*
 * A base backup of this very node, put in its place, brings an older pgha.state with
 * it: what it says of votes is not what this node has voted in since.  PostgreSQL
 * takes the label away as soon as it recovers, so that this must be written before.
 */
static void
forget_copied_votes(PghaDurable *durable)
{
	bool		voted = config.settings.voters > 0 || durable->rule.term != 0;

	if (!file_exists(BACKUP_LABEL_FILE) || durable->forgot)
		return;
	pgha_forget_votes(durable);
	if (voted)
		ereport(LOG,
				(errmsg("pgha: this server starts from a base backup, and does not know what it has voted in since"),
				 errdetail("It votes when all members with data have answered.")));
	if (!PghaStateWrite(&config.settings, durable))
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remember that the votes of this server are not known")));
}

/*
 * The agent starts a server whose successor it has just spoken to; it leaves
 * the successor's term in FOLLOW_FILE.  What it knows must not depend on whether
 * the members can be reached a moment later.
 */
static void
take_advice(PghaDurable *durable)
{
	char		text[32];
	int			length = PghaReadFile(FOLLOW_FILE, text, sizeof(text) - 1);
	uint64		term;

	if (length < 0)
		return;
	text[length] = '\0';
	term = strtoull(text, NULL, 10);
	if (durable->role == PGHA_ROLE_PRIMARY && term > durable->claim.term)
	{
		ereport(WARNING,
				(errmsg("pgha: the agent knows of a leader of term %llu, starting as a standby",
						(unsigned long long) term)));
		durable->fenced = true;
		durable->role = PGHA_ROLE_STANDBY;
		if (!PghaStateWrite(&config.settings, durable) || !PghaWriteStandbySignal())
			ereport(FATAL,
					(errcode_for_file_access(),
					 errmsg("could not remember that this server gave up leadership")));
	}
	(void) unlink(FOLLOW_FILE);
}

/*
 * A promotion was under way when the server went down: nobody had followed it, and
 * it had acknowledged nothing.  Without votes, who led before, and may have come back
 * since, must not give way to it.
 */
static void
take_back_promotion(PghaDurable *durable)
{
	uint32		parent = durable->replaced.timeline;

	/* With votes the monitor withdraws from a term in which no WAL was written. */
	if (durable->rule.term != 0 && durable->won > durable->claim.term)
		PghaForgetTimeline((uint32) durable->won);
	if (!pgha_take_back_promotion(durable))
		return;

	/* What is written last is what makes sure that all of it is done. */
	if (!file_exists(STANDBY_SIGNAL_FILE) && !PghaWriteStandbySignal())
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\"", STANDBY_SIGNAL_FILE),
				 errdetail("The server must not start as a primary.")));
	PghaTakeBackTimeline(parent, &config.settings, &durable->own_from);
	if (durable->own_from == 0)
		pgha_settle_claim(durable);
	if (!PghaStateWrite(&config.settings, durable))
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remember that a promotion was taken back")));
	ereport(WARNING,
			(errmsg("pgha: this server went down before its promotion was finished, which is taken back"),
			 durable->own_from != 0 ?
			 errdetail("Its WAL from %X/%X on is part of no other server's history. It follows the leader that it had, if need be after a rewind, or is promoted again.",
					   LSN_FORMAT_ARGS(durable->own_from)) :
			 errdetail("It follows the leader that it had, or is promoted again.")));
}

/*
 * A former primary may be past the fork of a later leader's history.  It must
 * not replay that leader's WAL from the archive before the two were compared.
 */
static void
ignore_archive(const PghaDurable *durable)
{
	if (durable->role != PGHA_ROLE_PRIMARY && !durable->fenced && !durable->diverged && durable->own_from == 0)
		return;
	if (PghaArchiveIgnore())
		ereport(LOG,
				(errmsg("pgha: restore_command is not used until the next start"),
				 errdetail("This server led when it was last running: its WAL must be compared with a later leader's before it replays any of that.")));
}

/*
 * The postmaster is about to start over, and shared memory goes: what the
 * monitor took last stays in force.
 */
static void
keep_config(int code, Datum arg)
{
	(void) code;
	(void) arg;
	if (PghaShmem->config.members.count > 0)
		config = PghaShmem->config;
}

const PghaConfig *
PghaBootConfig(void)
{
	return &config;
}

/*
 * The WAL receiver is started only if there is something to connect to; what it
 * really connects to, and which slot it uses, is the monitor's order.  Slot
 * synchronisation must be told of a database and a slot.
 */
static void
set_upstream(void)
{
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		dbname[PGHA_CONNINFO_SIZE];
	char		slot[NAMEDATALEN] = "";

	snprintf(conninfo, sizeof(conninfo), "application_name=%s", pgha_node);
	if (COMPAT_HAS_SLOT_SYNC)
	{
		if (!pgha_conninfo_get(config.conninfo, "dbname", dbname, sizeof(dbname)))
			strlcpy(dbname, "postgres", sizeof(dbname));
		(void) pgha_conninfo_add(conninfo, sizeof(conninfo), "dbname", dbname);
		pgha_slot_name(pgha_node, slot);
	}
	SetConfigOption("primary_conninfo", conninfo, PGC_POSTMASTER, PGC_S_OVERRIDE);
	SetConfigOption("primary_slot_name", slot, PGC_POSTMASTER, PGC_S_OVERRIDE);

	/* It would keep WAL beside the slot that the monitor orders, and not be the one that streams. */
	SetConfigOption("wal_receiver_create_temp_slot", "off", PGC_POSTMASTER, PGC_S_OVERRIDE);

	/* A standby that does not go over to the next leader's timeline is of no use. */
	SetConfigOption("recovery_target_timeline", "latest", PGC_POSTMASTER, PGC_S_OVERRIDE);
}

/* What is on disk must be a witness's: FATAL if not. */
static void
boot_witness(void)
{
	if (file_exists(STANDBY_SIGNAL_FILE) || file_exists(RECOVERY_SIGNAL_FILE))
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is one of pgha.witnesses, but has been told to recover"),
				 errhint("A witness has no data of the cluster: make one with \"pgha witness init\".")));

	/* A member keeps its own system identifier there, a witness that of the cluster. */
	if (PghaStateSystem() == GetSystemIdentifier())
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is one of pgha.witnesses, but has the data of a member"),
				 errhint("Make a witness with \"pgha witness init\", or write this node's name in pgha.members only.")));
}

/* FATAL if the configuration is bad or a decision cannot be carried out. */
static void
boot(void)
{
	static bool first = true;
	bool		crash_restart = !first;
	PghaConfig	now;
	char		error[512];
	char		hint[512];
	PghaDurable durable;
	PghaStateFile file;

	if (first)
		PghaConfigCheckAtStart();
	first = false;
	if (PghaConfigBuild(&now, PghaShmem->instance, error, sizeof(error), hint, sizeof(hint)))
		config = now;
	config.settings.instance = PghaShmem->instance;
	on_shmem_exit(keep_config, (Datum) 0);

	if (PghaIsWitness())
	{
		boot_witness();
		return;
	}

	/* PostgreSQL does this at a start only; a crash restart must not promote either. */
	RemovePromoteSignalFiles();
	PghaRemovePlaceholders();

	if (file_exists(RECOVERY_SIGNAL_FILE))
		PghaShmem->boot_passive = PGHA_PASSIVE_RECOVERY_SIGNAL;
	else if (file_exists(STANDBY_SIGNAL_FILE) && recoveryTarget != RECOVERY_TARGET_UNSET)
		PghaShmem->boot_passive = PGHA_PASSIVE_RECOVERY_TARGET;
	if (PghaShmem->boot_passive != PGHA_ACTIVE)
	{
		ereport(LOG,
				(errmsg("pgha: %s", pgha_passive_text(PghaShmem->boot_passive))));
		return;
	}

	set_upstream();
	PghaArchiveGuard();
	file = PghaStateRead(&config.settings, &durable);
	if (file == PGHA_STATE_READ)
		forget_copied_votes(&durable);
	if (file == PGHA_STATE_ABSENT && is_lost(&durable))
		file = PGHA_STATE_UNUSABLE;
	PghaConfigKeepVoters(&config, &durable);
	if (file == PGHA_STATE_READ)
		take_back_promotion(&durable);
	take_advice(&durable);
	if (!file_exists(STANDBY_SIGNAL_FILE))
		decide(&durable, file, crash_restart);
	if (file_exists(STANDBY_SIGNAL_FILE))
		ignore_archive(&durable);
}

static void
startup_hook(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	if (!IsUnderPostmaster && PghaEnabled())
		boot();
}

void
PghaBootInit(void)
{
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_hook;
}
