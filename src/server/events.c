/*
 * events.c
 *		The event log: PGDATA/pgha.events.
 *
 * A ring of slots of a fixed size in a file of a fixed size.  The monitor is
 * the only writer: it stores this node's own events and those that it pulls
 * from the other members, each at the next position; position modulo the
 * number of slots is the place in the file.  Each slot carries a CRC, so that
 * readers need no lock: a record that is being overwritten, was torn by a
 * crash or copied half by a base backup fails the check and is skipped.
 *
 * The file holds history, never the truth: no decision depends on it.  A
 * failure to create or write it is logged once and tried again with a later
 * event; it never ends the monitor.  A record is in the page cache when it
 * was added, and on disk after PghaEventsSync(), which is called before
 * fencing and promotion.
 *
 * Readers are pgha_events() and, to hand new events on to the other members,
 * the report (report.c).
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "../common/clock.h"
#include "../common/errors.h"
#include "compat.h"
#include "events.h"
#include "shmem.h"

#define EVENTS_FILE			"pgha.events"
#define EVENTS_TEMP			"pgha.events.tmp"

#define SLOT_MAGIC			0x31656770	/* "pge1" */
#define SLOT_SIZE			512
#define SLOT_COUNT			2048
#define SLOTS_PER_READ		64

/* Wait between two attempts to create a file that could not be created. */
#define RETRY_AFTER_US		10000000

/* Nodes whose newest record is remembered: the members and some former ones. */
#define MAX_KNOWN			(4 * PGHA_MAX_MEMBERS)

typedef union EventSlot
{
	struct
	{
		pg_crc32c	crc;		/* of the rest of the slot */
		uint32		magic;
		uint64		position;	/* ascends by one with each record, from 1 */
		PghaRecord	record;
	}			s;
	char		bytes[SLOT_SIZE];
} EventSlot;

StaticAssertDecl(sizeof(EventSlot) == SLOT_SIZE, "an event record must fit its slot");

typedef struct KnownNode
{
	char		node[PGHA_NAME_SIZE];
	uint64		newest;
} KnownNode;

/* The monitor's own state. */
static int	events_fd = -1;
static char events_self[PGHA_NAME_SIZE];
static uint64 next_position = 1;
static bool unsynced = false;
static bool complained = false;
static pgha_time retry_at = 0;
static KnownNode known[MAX_KNOWN];
static int	known_count = 0;

/* A slot's CRC covers everything behind it. */
static pg_crc32c
slot_crc(const EventSlot *slot)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, slot->bytes + sizeof(pg_crc32c), SLOT_SIZE - sizeof(pg_crc32c));
	FIN_CRC32C(crc);
	return crc;
}

static bool
slot_valid(EventSlot *slot)
{
	PghaRecord *record = &slot->s.record;

	if (slot->s.magic != SLOT_MAGIC || !EQ_CRC32C(slot->s.crc, slot_crc(slot)))
		return false;

	/* The CRC vouches for the bytes, not for who wrote them. */
	return memchr(record->node, '\0', sizeof(record->node)) != NULL &&
		memchr(record->kind, '\0', sizeof(record->kind)) != NULL &&
		memchr(record->what, '\0', sizeof(record->what)) != NULL &&
		slot->s.position != 0 && record->id != 0;
}

/*
 * Hands each valid slot of the file to `each`.  False, with errno set, if the
 * file cannot be read to its end; a short file simply ends early.
 */
static bool
scan_slots(int fd, void (*each) (const EventSlot *slot, void *arg), void *arg)
{
	EventSlot	slots[SLOTS_PER_READ];
	off_t		offset = 0;

	while (offset < (off_t) SLOT_COUNT * SLOT_SIZE)
	{
		ssize_t		got = pg_pread(fd, slots, sizeof(slots), offset);
		int			i;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got < SLOT_SIZE)
			break;
		for (i = 0; i < got / SLOT_SIZE; i++)
		{
			if (slot_valid(&slots[i]))
				each(&slots[i], arg);
		}
		offset += (off_t) (got / SLOT_SIZE) * SLOT_SIZE;
	}
	return true;
}

static uint64
unix_microseconds(void)
{
	return (uint64) (GetCurrentTimestamp() +
					 (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}

/* Logs a failure, unless the last one was not followed by a success. */
static void
complain(const char *doing)
{
	if (complained)
		return;
	complained = true;
	ereport(WARNING,
			(errcode_for_file_access(),
			 errmsg("could not %s file \"%s\": %m", doing, EVENTS_FILE),
			 errdetail("Until this works again, pgha's events are only found in the server log.")));
}

/*
 * ---------- the monitor's side ----------
 */

static void
forget_file(void)
{
	if (events_fd < 0)
		return;
	close(events_fd);
	ReleaseExternalFD();
	events_fd = -1;
	unsynced = false;
}

static KnownNode *
find_known(const char *node)
{
	int			i;

	for (i = 0; i < known_count; i++)
	{
		if (strcmp(known[i].node, node) == 0)
			return &known[i];
	}
	return NULL;
}

static void
note_known(const char *node, uint64 id)
{
	KnownNode  *entry = find_known(node);

	if (entry == NULL && known_count < MAX_KNOWN)
		entry = &known[known_count++];
	else if (entry == NULL)
	{
		int			i;

		/* Give up the node that was silent for longest. */
		entry = &known[0];
		for (i = 1; i < known_count; i++)
		{
			if (known[i].newest < entry->newest)
				entry = &known[i];
		}
	}
	else if (entry->newest >= id)
		return;
	strlcpy(entry->node, node, sizeof(entry->node));
	entry->newest = id;
}

static void
note_slot(const EventSlot *slot, void *arg)
{
	(void) arg;
	if (slot->s.position >= next_position)
		next_position = slot->s.position + 1;
	note_known(slot->s.record.node, slot->s.record.id);
}

/* Writes zeros from `from` to the full size and syncs.  errno is set on failure. */
static bool
fill_file(int fd, off_t from)
{
	static const char zeros[SLOT_SIZE * SLOTS_PER_READ];
	const off_t size = (off_t) SLOT_COUNT * SLOT_SIZE;

	while (from < size)
	{
		ssize_t		written;

		errno = 0;
		written = pg_pwrite(fd, zeros, Min((off_t) sizeof(zeros), size - from), from);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			return false;
		}
		from += written;
	}
	return pg_fsync(fd) == 0;
}

/* Creates the file whole or not at all: one without its space is of no use. */
static bool
create_file(void)
{
	bool		filled;
	int			fd;
	int			save_errno;

	fd = BasicOpenFile(EVENTS_TEMP, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
	if (fd < 0)
		return false;
	filled = fill_file(fd, 0);
	save_errno = errno;
	close(fd);
	if (filled)
	{
		if (durable_rename(EVENTS_TEMP, EVENTS_FILE, DEBUG1) == 0)
			return true;
		save_errno = errno;
	}
	unlink(EVENTS_TEMP);
	errno = save_errno;
	return false;
}

/* Makes events_fd usable.  False if it is not; complains once. */
static bool
open_file(void)
{
	struct stat st;
	int			fd;

	if (events_fd >= 0)
	{
		/* A removed file would be written for nobody. */
		if (fstat(events_fd, &st) == 0 && st.st_nlink > 0)
			return true;
		forget_file();
	}
	if (retry_at != 0 && pgha_clock_us() < retry_at)
		return false;

	fd = BasicOpenFile(EVENTS_FILE, O_RDWR | PG_BINARY);
	if (fd < 0 && errno == ENOENT)
	{
		if (create_file())
			fd = BasicOpenFile(EVENTS_FILE, O_RDWR | PG_BINARY);
		else
		{
			complain("create");
			goto fail;
		}
	}
	if (fd < 0)
	{
		complain("open");
		goto fail;
	}
	if (!scan_slots(fd, note_slot, NULL))
	{
		complain("read");
		close(fd);
		goto fail;
	}
	if (fstat(fd, &st) < 0 ||
		(st.st_size < (off_t) SLOT_COUNT * SLOT_SIZE && !fill_file(fd, st.st_size)))
	{
		complain("extend");
		close(fd);
		goto fail;
	}
	ReserveExternalFD();
	events_fd = fd;
	retry_at = 0;
	return true;

fail:
	retry_at = pgha_clock_us() + RETRY_AFTER_US;
	return false;
}

static bool
store(const PghaRecord *record)
{
	EventSlot	slot;
	ssize_t		written;

	if (!open_file())
		return false;

	memset(&slot, 0, sizeof(slot));
	slot.s.magic = SLOT_MAGIC;
	slot.s.position = next_position;
	slot.s.record = *record;
	slot.s.crc = slot_crc(&slot);

	do
	{
		errno = 0;
		written = pg_pwrite(events_fd, &slot, SLOT_SIZE,
							(off_t) (next_position % SLOT_COUNT) * SLOT_SIZE);
	} while (written < 0 && errno == EINTR);
	if (written != SLOT_SIZE)
	{
		if (errno == 0)
			errno = ENOSPC;
		complain("write");
		return false;
	}
	next_position++;
	unsynced = true;
	complained = false;
	return true;
}

/*
 * Copies a text into a field of a record: on one line, fit to be shown, and not
 * cut within a character.
 */
static void
copy_text(char *field, size_t size, const char *text)
{
	size_t		length;

	strlcpy(field, text, size);
	length = strlen(pgha_shown(field, false));
	memset(field + length, 0, size - length);
}

bool
PghaEventsOpen(const char *self)
{
	bool		opened;

	forget_file();
	known_count = 0;
	next_position = 1;
	retry_at = 0;
	strlcpy(events_self, self, sizeof(events_self));

	opened = open_file();
	pg_atomic_write_u64(&PghaShmem->newest_event, PghaEventsNewest(events_self));
	return opened;
}

bool
PghaEventsAdd(const char *kind, uint64 term, const char *what)
{
	PghaRecord	record;

	memset(&record, 0, sizeof(record));
	copy_text(record.node, sizeof(record.node), events_self);
	copy_text(record.kind, sizeof(record.kind), kind);
	copy_text(record.what, sizeof(record.what), what);
	record.term = term;

	/* A file that comes back may know of newer records than we do. */
	if (!open_file())
		return false;
	record.id = Max(PghaEventsNewest(events_self) + 1, unix_microseconds());
	if (!store(&record))
		return false;
	note_known(events_self, record.id);
	pg_atomic_write_u64(&PghaShmem->newest_event, record.id);
	return true;
}

bool
PghaEventsAddRemote(const PghaRecord *record)
{
	PghaRecord	copy;

	if (record->id == 0 || record->node[0] == '\0' ||
		strcmp(record->node, events_self) == 0 ||
		record->id <= PghaEventsNewest(record->node))
		return true;

	memset(&copy, 0, sizeof(copy));
	copy.id = record->id;
	copy.term = record->term;
	copy_text(copy.node, sizeof(copy.node), record->node);
	copy_text(copy.kind, sizeof(copy.kind), record->kind);
	copy_text(copy.what, sizeof(copy.what), record->what);
	if (!store(&copy))
		return false;
	note_known(copy.node, copy.id);
	return true;
}

uint64
PghaEventsNewest(const char *node)
{
	KnownNode  *entry = find_known(node);

	return entry ? entry->newest : 0;
}

bool
PghaEventsSync(void)
{
	if (events_fd < 0 || !unsynced)
		return events_fd >= 0;
	if (pg_fdatasync(events_fd) != 0)
	{
		complain("fsync");
		return false;
	}
	unsynced = false;
	return true;
}

/*
 * ---------- the readers' side ----------
 */

typedef struct Collected
{
	const char *self;			/* only this node's records; NULL: all */
	uint64		since;			/* only records with a greater id */
	int			count;
	PghaRecord *record;			/* room for SLOT_COUNT */
} Collected;

static void
collect_slot(const EventSlot *slot, void *arg)
{
	Collected  *collected = arg;
	const PghaRecord *record = &slot->s.record;

	if (record->id <= collected->since ||
		(collected->self != NULL && strcmp(collected->self, record->node) != 0))
		return;
	collected->record[collected->count++] = *record;
}

static int
compare_records(const void *a, const void *b)
{
	const PghaRecord *ra = a;
	const PghaRecord *rb = b;

	if (ra->id != rb->id)
		return ra->id < rb->id ? -1 : 1;
	return strcmp(ra->node, rb->node);
}

/* Fills *collected, sorted.  False with errno if the file cannot be read. */
static bool
collect(Collected *collected)
{
	int			fd;
	int			save_errno;
	bool		ok;

	collected->count = 0;
	collected->record = palloc(sizeof(PghaRecord) * SLOT_COUNT);

	fd = OpenTransientFile(EVENTS_FILE, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return errno == ENOENT;
	ok = scan_slots(fd, collect_slot, collected);
	save_errno = errno;
	CloseTransientFile(fd);
	errno = save_errno;
	if (ok)
		qsort(collected->record, collected->count, sizeof(PghaRecord), compare_records);
	return ok;
}

int
PghaEventsRead(PghaRecord **records)
{
	Collected	collected = {NULL, 0, 0, NULL};

	if (!collect(&collected))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", EVENTS_FILE)));
	*records = collected.record;
	return collected.count;
}

int
PghaEventsSince(const char *self, uint64 since, PghaRecord *out, int max)
{
	Collected	collected = {self, since, 0, NULL};
	int			count = 0;

	if (pg_atomic_read_u64(&PghaShmem->newest_event) <= since)
		return 0;
	if (collect(&collected))
	{
		count = Min(collected.count, max);
		memcpy(out, collected.record, sizeof(PghaRecord) * count);
	}
	pfree(collected.record);
	return count;
}
