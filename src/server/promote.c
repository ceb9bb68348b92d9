/*
 * promote.c
 *		Promotion onto a reserved timeline.
 *
 * PostgreSQL numbers a new timeline by probing pg_wal for history files: the
 * first id without one is taken.  Two standbys that cannot see each other would
 * take the same id, and write identical history files for different histories.
 * So each node fills the ids below the one it has reserved with placeholders:
 * copies of the parent's history behind a marker line.  They stay once the real
 * file above them exists, as followers fetch histories one by one; without it
 * they are removed before the next start.
 *
 * The startup process may sleep for wal_retrieve_retry_interval when it gets
 * the signal at a bad moment: it is woken until recovery has ended.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogarchive.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "postmaster/bgwriter.h"
#include "storage/fd.h"

#include "../common/clock.h"
#include "../common/report.h"
#include "../core/claim.h"
#include "archive.h"
#include "compat.h"
#include "control.h"
#include "files.h"
#include "promote.h"
#include "shmem.h"
#include "walreceiver.h"

#define PLACEHOLDER_MARK	"# pgha placeholder\n"

/*
 * So far a new timeline may be from its parent.  Without votes it never is further
 * than PGHA_MAX_GAP; with votes each term that had no leader is one, which must not
 * keep all later leaders from being promoted.
 */
#define MAX_PLACEHOLDERS	65536

/* A receiver that has not confirmed the stop by then is promoted over. */
#define STOP_LIMIT			1000000
/* The startup process is woken each time we look, and less often after this. */
#define KICK_LIMIT			2000000
#define KICK_INTERVAL		100000
/*
 * pg_rewind reads a server's timeline from its control file, which only a
 * checkpoint changes.  It is made soon, but not while the clients come back.
 */
#define CHECKPOINT_DELAY	3000000
/* A promotion that has not begun to show after this time is signalled again. */
#define SIGNAL_INTERVAL		5000000

static struct
{
	enum
	{
		IDLE,
		STOPPING,
		STOPPED,
		RECOVERING,
		NOT_STARTED
	}			phase;
	uint32		parent;
	uint32		timeline;
	pgha_time	begun;			/* stop of the receiver asked for */
	pgha_time	stopped;
	pgha_time	reserved;		/* placeholders written */
	pgha_time	signalled;
	pgha_time	kicked;
	pgha_time	ended;			/* out of recovery */
	bool		told;			/* that the new history cannot be read */
	pgha_time	checkpoint_at;	/* ask for a checkpoint at this time; 0 = no need */
}			promotion;

/* ---- history files ---- */

/* A history file's text, to be freed, and its length; NULL with errno if it cannot be read. */
static char *
read_history_file(uint32 timeline, int *length)
{
	char		path[MAXPGPATH];
	struct stat st;
	char	   *text;
	int			save_errno;

	TLHistoryFilePath(path, timeline);
	if (stat(path, &st) != 0)
		return NULL;
	text = malloc((size_t) st.st_size + 2);
	if (text == NULL)
		return NULL;
	*length = PghaReadFile(path, text, (int) st.st_size + 2);
	if (*length >= 0)
		return text;
	save_errno = errno;
	free(text);
	errno = save_errno;
	return NULL;
}

bool
PghaReadHistory(uint32 timeline, PghaHistory *history)
{
	int			length;
	char	   *text = timeline > 1 ? read_history_file(timeline, &length) : NULL;
	bool		good = text != NULL && pgha_history_parse(text, timeline, history);
	int			save_errno;

	save_errno = errno;
	free(text);
	errno = save_errno;
	return good;
}

bool
PghaForkOf(uint32 timeline, pgha_lsn *fork)
{
	static PghaHistory history;

	*fork = 0;
	if (timeline == 1)
		return true;
	errno = 0;
	if (!PghaReadHistory(timeline, &history) || history.count == 0)
		return errno == ENOENT; /* PostgreSQL takes a missing history for one without parents */
	*fork = history.entry[history.count - 1].end;
	return true;
}

static bool
is_placeholder(uint32 timeline)
{
	char		path[MAXPGPATH];
	char		start[sizeof(PLACEHOLDER_MARK)];
	int			length;

	TLHistoryFilePath(path, timeline);
	length = PghaReadFile(path, start, sizeof(start));

	/* An empty one is a placeholder that a crash came between. */
	return length == 0 || (length > 0 && strcmp(start, PLACEHOLDER_MARK) == 0);
}

/* Calls `found` for each history file in pg_wal. */
static void
each_history_file(void (*found) (uint32 timeline, void *arg), void *arg)
{
	DIR		   *dir = opendir(XLOGDIR);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
	{
		if (IsTLHistoryFileName(entry->d_name))
			found((uint32) strtoul(entry->d_name, NULL, 16), arg);
	}
	closedir(dir);
}

static void
note_newest(uint32 timeline, void *arg)
{
	uint32	   *newest = arg;

	if (*newest < timeline)
		*newest = timeline;
}

uint32
PghaNewestTimeline(void)
{
	uint32		newest = 0;

	each_history_file(note_newest, &newest);
	return newest;
}

/* The timelines that pg_wal has a history file of. */
typedef struct Timelines
{
	int			count;
	int			room;
	uint32	   *id;
} Timelines;

static void
note_timeline(uint32 timeline, void *arg)
{
	Timelines  *timelines = arg;

	if (timelines->count == timelines->room)
	{
		timelines->room = timelines->room * 2 + 64;
		timelines->id = timelines->id == NULL ? palloc(timelines->room * sizeof(uint32)) :
			repalloc(timelines->id, timelines->room * sizeof(uint32));
	}
	timelines->id[timelines->count++] = timeline;
}

static int
later_first(const void *a, const void *b)
{
	uint32		first = *(const uint32 *) a;
	uint32		second = *(const uint32 *) b;

	return first > second ? -1 : first < second;
}

static void
remove_placeholder(uint32 timeline)
{
	char		path[MAXPGPATH];

	TLHistoryFilePath(path, timeline);
	if (unlink(path) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path),
				 errdetail("It reserves a timeline that was never begun; recovery would wait for it.")));
}

void
PghaRemovePlaceholders(void)
{
	Timelines	timelines = {0};
	bool		serves = false; /* a real history is above, in an unbroken row of files */
	int			removed = 0;

	/* Once, from the latest on: there may be many. */
	each_history_file(note_timeline, &timelines);
	if (timelines.count > 1)
		qsort(timelines.id, timelines.count, sizeof(uint32), later_first);
	for (int i = 0; i < timelines.count; i++)
	{
		uint32		timeline = timelines.id[i];

		if (i > 0 && timelines.id[i - 1] != timeline + 1)
			serves = false;
		if (!is_placeholder(timeline))
			serves = true;
		else if (!serves)
		{
			remove_placeholder(timeline);
			removed++;
		}
	}
	if (timelines.id != NULL)
		pfree(timelines.id);
	if (removed > 0)
		fsync_fname_ext(XLOGDIR, true, false, LOG);
}

/*
 * Has nothing been written on the timeline that changed a data file, or ends
 * recovery?  The record that does is followed by pg_control, before anybody else may
 * write.
 */
static bool
is_untouched(uint32 timeline)
{
	ControlFileData control;

	return PghaReadControl(&control) && control.checkPointCopy.ThisTimeLineID < timeline &&
		control.minRecoveryPointTLI < timeline;
}

void
PghaForgetTimeline(uint32 timeline)
{
	char		path[MAXPGPATH];

	if (PghaNewestTimeline() != timeline || is_placeholder(timeline) || !is_untouched(timeline))
		return;
	TLHistoryFilePath(path, timeline);
	if (unlink(path) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path),
				 errdetail("It names a timeline that was never begun; recovery would head for it.")));
	fsync_fname_ext(XLOGDIR, true, false, LOG);
	PghaRemovePlaceholders();
}

/* The own timeline is known by its residue class and its parent. */
void
PghaTakeBackTimeline(uint32 parent, const PghaSettings *settings, pgha_lsn *own_from)
{
	static PghaHistory history;
	uint32		newest = PghaNewestTimeline();

	*own_from = 0;
	if (newest <= parent || !PghaReadHistory(newest, &history))
		return;
	for (int i = 0; i < history.count; i++)
	{
		if (history.entry[i].timeline == parent)
			*own_from = history.entry[i].end;
	}
	if (history.count == 0 || history.entry[history.count - 1].timeline != parent ||
		newest % (uint32) settings->count != (uint32) pgha_sorted_position(settings))
		return;
	PghaForgetTimeline(newest);
	if (PghaNewestTimeline() < newest)
		*own_from = 0;
}

/*
 * Writes one placeholder; an existing file fills the gap as well.  None is
 * synced, as that would be paid for in each failover: what a crash leaves of
 * them before the real history exists is removed at the next start, and
 * PostgreSQL syncs the directory when it puts that history in place.  One that
 * is left empty serves as well.
 */
static bool
write_placeholder(uint32 timeline, const char *text, int length)
{
	char		path[MAXPGPATH];
	int			save_errno;

	TLHistoryFilePath(path, timeline);
	if (PghaWriteFile(path, O_EXCL, text, length) || errno == EEXIST)
		return true;
	save_errno = errno;
	unlink(path);
	errno = save_errno;
	return false;
}

/*
 * Nothing is to be filled, but PostgreSQL will write the history of `timeline`,
 * and the whole server goes down if it cannot: tried before it is told.
 */
static bool
try_history(uint32 timeline)
{
	char		path[MAXPGPATH];

	if (!write_placeholder(timeline, PLACEHOLDER_MARK, strlen(PLACEHOLDER_MARK)))
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not reserve timeline %u: %m", timeline)));
		return false;
	}
	TLHistoryFilePath(path, timeline);
	if (is_placeholder(timeline))
		unlink(path);
	return true;
}

/*
 * Puts a placeholder with the parent's history at each id between `parent` and
 * `timeline`: names of one file, as far as the file system allows, as there may
 * be many.
 */
static bool
fill_gap(uint32 parent, uint32 timeline, const char *history, int length)
{
	const int	mark = strlen(PLACEHOLDER_MARK);
	char	   *text = palloc(mark + length);
	char		first[MAXPGPATH];
	char		path[MAXPGPATH];
	bool		links;
	bool		done;

	memcpy(text, PLACEHOLDER_MARK, mark);
	memcpy(text + mark, history, length);
	TLHistoryFilePath(first, parent + 1);
	done = write_placeholder(parent + 1, text, mark + length);
	links = is_placeholder(parent + 1);
	for (uint32 id = parent + 2; id < timeline && done; id++)
	{
		TLHistoryFilePath(path, id);
		done = (links && link(first, path) == 0) ||
			write_placeholder(id, text, mark + length);
	}
	if (!done)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not reserve timeline %u: %m", timeline)));
	pfree(text);
	return done;
}

/* Makes PostgreSQL find `timeline` to be the next one after `parent`. */
static bool
reserve(uint32 parent, uint32 timeline)
{
	char	   *history;
	int			length = 0;
	bool		done;

	if (timeline == parent + 1)
		return try_history(timeline);

	/* A name for each id. */
	if (timeline - parent > MAX_PLACEHOLDERS)
	{
		ereport(WARNING,
				(errmsg("cannot reserve timeline %u, which is too far from timeline %u", timeline, parent),
				 errdetail("A timeline may be reserved that is up to %d ahead.", MAX_PLACEHOLDERS)));
		return false;
	}
	history = parent > 1 ? read_history_file(parent, &length) : NULL;
	if (parent > 1 && history == NULL)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not read the history of timeline %u: %m", parent)));
		return false;
	}
	done = fill_gap(parent, timeline, history != NULL ? history : "", length);
	free(history);
	if (!done)
		PghaRemovePlaceholders();
	return done;
}

/*
 * A standby that restores from the archive looks for histories one by one, too:
 * it must find the placeholders there.
 */
static void
archive_placeholders(void)
{
	if (!XLogArchivingActive())
		return;
	for (uint32 id = promotion.parent + 1; id < promotion.timeline; id++)
	{
		char		name[MAXFNAMELEN];

		/* What the archive has from elsewhere fills the gap as well, and is not to be overwritten. */
		if (!is_placeholder(id) || PghaArchiveHas(id) == PGHA_YES)
			continue;
		TLHistoryFileName(name, id);
		XLogArchiveNotify(name);
	}
}

/* ---- the steps ---- */

static bool
signal_postmaster(void)
{
	/* Not synced: it need not outlive a crash. */
	if (!PghaWriteFile(PROMOTE_SIGNAL_FILE, O_TRUNC, "", 0))
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", PROMOTE_SIGNAL_FILE)));
		return false;
	}
	return kill(PostmasterPid, SIGUSR1) == 0;
}

void
PghaPromotionStopReceiver(pgha_time now)
{
	memset(&promotion, 0, sizeof(promotion));
	promotion.phase = STOPPING;
	promotion.begun = now;
	PghaWalReceiverStop();
}

void
PghaPromotionStart(uint32 parent, uint32 timeline, pgha_time now)
{
	promotion.parent = parent;
	promotion.timeline = timeline;

	/* Somebody else promoted it just now: the check will tell onto what. */
	if (!RecoveryInProgress())
	{
		promotion.reserved = promotion.signalled = now;
		promotion.phase = RECOVERING;
		return;
	}
	if (!reserve(parent, timeline))
	{
		promotion.phase = NOT_STARTED;
		return;
	}
	promotion.reserved = pgha_clock_us();
	if (!signal_postmaster())
	{
		PghaRemovePlaceholders();
		promotion.phase = NOT_STARTED;
		return;
	}
	promotion.signalled = now;
	promotion.phase = RECOVERING;
	WakeupRecovery();
}

/*
 * Did PostgreSQL use the reserved timeline, as a child of the right parent?
 * Between the two there may be timelines that end where the parent does: begun
 * by promotions that crashed before anything was written on them.  A history
 * that cannot be read is neither right nor wrong.
 */
static PghaFact
timeline_is_right(void)
{
	static PghaHistory history;
	uint32		timeline = GetWALInsertionTimeLine();
	pgha_lsn	end = 0;
	bool		parent_found = false;

	if (timeline != promotion.timeline)
		return PGHA_NO;
	if (!PghaReadHistory(timeline, &history))
		return PGHA_NOT_KNOWN;
	for (int i = 0; i < history.count; i++)
	{
		const PghaHistoryEntry *entry = &history.entry[i];

		if (entry->end < end || (parent_found && entry->end != end))
			return PGHA_NO;
		if (entry->timeline == promotion.parent)
			parent_found = true;
		end = entry->end;
	}
	return parent_found ? PGHA_YES : PGHA_NO;
}

/* Out of recovery: onto what? */
static PghaPromotionOutcome
check_promotion(pgha_time now)
{
	PghaFact	right = timeline_is_right();

	if (right == PGHA_NOT_KNOWN)
	{
		if (!promotion.told)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read the history of timeline %u: %m", promotion.timeline),
					 errdetail("It is tried again. Until then this server takes no commits.")));
		promotion.told = true;
		return PGHA_PROMOTION_BUSY;
	}
	promotion.phase = IDLE;
	promotion.ended = now;
	if (right == PGHA_NO)
	{
		ereport(LOG,
				(errmsg("promotion went to timeline %u, not to the reserved timeline %u",
						GetWALInsertionTimeLine(), promotion.timeline)));
		return PGHA_PROMOTION_FAILED;
	}
	archive_placeholders();

	promotion.checkpoint_at = now + CHECKPOINT_DELAY;
	return PGHA_PROMOTION_DONE;
}

PghaPromotionOutcome
PghaPromotionPoll(pgha_time now)
{
	switch (promotion.phase)
	{
		case IDLE:
			if (promotion.checkpoint_at != 0 && now >= promotion.checkpoint_at)
			{
				promotion.checkpoint_at = 0;
				RequestCheckpoint(CHECKPOINT_FORCE | CHECKPOINT_IMMEDIATE);
			}
			return PGHA_PROMOTION_IDLE;

		case STOPPING:
			if (!PghaWalReceiverStopped() && now - promotion.begun < STOP_LIMIT)
				return PGHA_PROMOTION_BUSY;
			promotion.stopped = now;
			promotion.phase = STOPPED;
			return PGHA_PROMOTION_STOPPED;

		case STOPPED:
			return PGHA_PROMOTION_IDLE;

		case NOT_STARTED:
			promotion.phase = IDLE;
			return PGHA_PROMOTION_FAILED;

		case RECOVERING:
			break;
	}

	if (RecoveryInProgress())
	{
		if (now - promotion.reserved < KICK_LIMIT || now - promotion.kicked >= KICK_INTERVAL)
		{
			promotion.kicked = now;
			WakeupRecovery();
		}
		if (now - promotion.signalled >= SIGNAL_INTERVAL)
		{
			/* The startup process removes the file when it has taken the order. */
			promotion.signalled = now;
			if (access(PROMOTE_SIGNAL_FILE, F_OK) == 0)
				kill(PostmasterPid, SIGUSR1);
		}
		return PGHA_PROMOTION_BUSY;
	}

	return check_promotion(now);
}

void
PghaPromotionTimes(char *text, size_t size)
{
	snprintf(text, size, "receiver stopped after %.1f ms, timeline reserved after %.1f ms, out of recovery after %.1f ms",
			 (promotion.stopped - promotion.begun) / 1000.0,
			 (promotion.reserved - promotion.begun) / 1000.0,
			 (promotion.ended - promotion.begun) / 1000.0);
}
