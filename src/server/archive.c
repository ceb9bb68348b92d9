/*
 * archive.c
 *		What a shared archive may tell this server, and what it is asked.
 *
 * An archive may hold timelines that are none of this cluster's: a test restore
 * writes its history there.  PostgreSQL prefers the archive's histories to those
 * in pg_wal, takes the highest number for the latest timeline, and follows it.
 * But who leads is what the members say.  So restore_command does not get to
 * see requests for histories: PostgreSQL finds them in pg_wal, where the WAL
 * receiver puts those of the leader, and pgha its placeholders.  WAL still comes
 * from the archive.
 *
 * The numbers in the archive must not be taken again, as files of the same name
 * would meet there.  A standby asks for them with the same command, while there
 * is nothing else to do, through a `pgha io` child: a promotion finds the answers
 * and waits for nothing.  What the archive did not answer is not known, and keeps
 * no node from leading: data do not depend on it, as PostgreSQL has none of the
 * archive's histories.
 */
#include "postgres.h"

#include "access/xlogrecovery.h"
#include "utils/guc.h"

#include "archive.h"
#include "compat.h"
#include "io_child.h"

/* In front of restore_command.  The shell that PostgreSQL runs it with ends here for a history. */
#define NO_HISTORIES	"case %f in *.history) exit 1;; esac; "

/* The archive is asked again after this time: others write to it, too. */
#define INTERVAL		INT64CONST(60000000)
/* For one request. */
#define LIMIT			INT64CONST(10000000)
/* How often it is looked for an answer. */
#define LOOK_INTERVAL	20000

static GucStringCheckHook former_check = NULL;
static char *ignored = NULL;	/* the command that is not used until the next start */

static struct
{
	PghaChild	child;			/* runs while a round is under way */
	bool		running;
	char	   *command;		/* that the answers came from */
	uint32		timeline;		/* ... about the timelines after this one */
	uint32		known;			/* up to this one */
	bool		taken[PGHA_MAX_GAP + 1];	/* by their distance from `timeline` */
	uint32		asked;			/* the request under way */
	pgha_time	due;			/* next round */
	bool		told;			/* that it could not be asked */
}			archive;

/* ---- what PostgreSQL gets from it ---- */

static bool
check_restore_command(char **newval, void **extra, GucSource source)
{
	const size_t guard = strlen(NO_HISTORIES);
	char	   *guarded;

	if (former_check != NULL && !former_check(newval, extra, source))
		return false;
	if (*newval == NULL || **newval == '\0' || strncmp(*newval, NO_HISTORIES, guard) == 0)
		return true;
	guarded = compat_guc_malloc(guard + strlen(*newval) + 1);
	if (guarded == NULL)
		return false;
	memcpy(guarded, NO_HISTORIES, guard);
	strcpy(guarded + guard, *newval);
	compat_guc_free(*newval);
	*newval = guarded;
	return true;
}

void
PghaArchiveGuard(void)
{
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count; i++)
	{
		struct config_string *variable = (struct config_string *) variables[i];

		if (strcmp(variables[i]->name, "restore_command") != 0)
			continue;
		if (variable->check_hook != check_restore_command)
		{
			former_check = variable->check_hook;
			variable->check_hook = check_restore_command;
		}
		if (*recoveryRestoreCommand != '\0')
			SetConfigOption("restore_command", recoveryRestoreCommand, PGC_POSTMASTER, variables[i]->source);
	}
}

bool
PghaArchiveIgnore(void)
{
	if (*recoveryRestoreCommand == '\0')
		return false;
	ignored = strdup(recoveryRestoreCommand);
	SetConfigOption("restore_command", "", PGC_POSTMASTER, PGC_S_OVERRIDE);
	return true;
}

/* ---- what it is asked ---- */

/* The command as it stands in the files; empty if there is none. */
static const char *
restore_command(void)
{
	const char *command = *recoveryRestoreCommand == '\0' && ignored != NULL ? ignored : recoveryRestoreCommand;

	return strncmp(command, NO_HISTORIES, strlen(NO_HISTORIES)) == 0 ? command + strlen(NO_HISTORIES) : command;
}

static void
end_round(pgha_time now)
{
	PghaArchiveStop();
	archive.due = now + INTERVAL;
}

static void
fail(const char *message, pgha_time now)
{
	if (!archive.told)
		ereport(LOG,
				(errmsg("pgha: could not ask the archive for the history of timeline %u: %s", archive.asked, message),
				 errdetail("A promotion does not wait for it. Should the archive have this timeline from elsewhere, this server may take its number again, and archive_command then meets files of the same name.")));
	archive.told = true;
	end_round(now);
}

/* What was learnt holds for the timelines after one, with one command. */
static void
forget_others(uint32 timeline)
{
	const char *command = restore_command();

	if (archive.command != NULL && archive.timeline == timeline && strcmp(archive.command, command) == 0)
		return;
	PghaArchiveStop();
	free(archive.command);
	archive.command = strdup(command);
	archive.timeline = archive.known = timeline;
	memset(archive.taken, 0, sizeof(archive.taken));
	archive.due = 0;
	archive.told = false;
}

/*
 * Asks for the next timeline, or ends the round.  A promotion goes onto one of
 * the next `members` timelines after all that are known; where members vote also
 * onto a later one, but what others begin leaves no gap after what they know.
 */
static void
ask_next(uint32 newest, int members, pgha_time now)
{
	uint32		last = Max(newest, PghaArchiveNewest()) + members;
	char		request[32];

	archive.asked++;
	if (archive.asked > last || archive.asked - archive.timeline > PGHA_MAX_GAP)
	{
		archive.told = false;
		end_round(now);
	}
	else
	{
		snprintf(request, sizeof(request), "history\t%u", archive.asked);
		if (!PghaChildRequest(&archive.child, request, now, LIMIT))
			fail("\"pgha io\" ended unexpectedly", now);
	}
}

static void
begin_round(uint32 newest, int members, pgha_time now)
{
	PghaChildInit(&archive.child);
	archive.running = true;
	archive.asked = archive.timeline;
	if (!PghaChildStartArchive(&archive.child, archive.command))
		fail("could not start \"pgha io\"", now);
	else
		ask_next(newest, members, now);
}

static void
take_answer(const char *outcome, const char *text, uint32 newest, int members, pgha_time now)
{
	bool	   *taken;

	if (strcmp(outcome, "ok") != 0)
	{
		fail(text, now);
		return;
	}
	taken = &archive.taken[archive.asked - archive.timeline];
	if (strcmp(text, "yes") == 0 && !*taken)
		ereport(LOG,
				(errmsg("pgha: the archive has a history of timeline %u, which is later than timeline %u of this server",
						archive.asked, archive.timeline),
				 errdetail("It is not followed unless the primary has it. A promotion goes onto a later one.")));
	*taken = strcmp(text, "yes") == 0;
	archive.known = Max(archive.known, archive.asked);
	ask_next(newest, members, now);
}

void
PghaArchiveTend(uint32 timeline, uint32 newest, int members, pgha_time now)
{
	char	   *outcome;
	char	   *text;

	if (*restore_command() == '\0' || timeline == 0)
	{
		PghaArchiveStop();
		archive.known = archive.timeline = timeline;
		return;
	}
	forget_others(timeline);
	if (archive.command == NULL)
		return;
	if (!archive.running)
	{
		if (now >= archive.due)
			begin_round(newest, members, now);
		return;
	}
	switch (PghaChildPoll(&archive.child, &outcome, &text))
	{
		case PGHA_CHILD_REPLY:
			take_answer(outcome, text, newest, members, now);
			break;
		case PGHA_CHILD_GONE:
			fail("\"pgha io\" ended unexpectedly", now);
			break;
		case PGHA_CHILD_NOTHING:
			if (now >= archive.child.deadline)
				fail("\"pgha io\" did not answer in time", now);
			break;
	}
}

pgha_time
PghaArchiveDue(pgha_time now)
{
	if (*restore_command() == '\0')
		return PG_INT64_MAX;

	/* A round that is due, and was not begun, waits for a timeline to be known. */
	return archive.running ? now + LOOK_INTERVAL : Max(archive.due, now + LOOK_INTERVAL);
}

void
PghaArchiveStop(void)
{
	if (archive.running)
		PghaChildStop(&archive.child);
	archive.running = false;
}

uint32
PghaArchiveNewest(void)
{
	for (uint32 id = archive.known; id > archive.timeline; id--)
	{
		if (archive.taken[id - archive.timeline])
			return id;
	}
	return 0;
}

PghaFact
PghaArchiveHas(uint32 timeline)
{
	if (timeline <= archive.timeline || timeline > archive.known)
		return PGHA_NOT_KNOWN;
	return archive.taken[timeline - archive.timeline] ? PGHA_YES : PGHA_NO;
}
